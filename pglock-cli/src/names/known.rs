//! The keys of known migrators, by the source of each.

use pglock::LockId;

/// A tool that takes a lock of its own.
#[derive(Debug)]
pub(crate) struct Known {
    /// What stands for it on the command line.
    pub(crate) word: &'static str,
    pub(crate) name: &'static str,
    key: Key,
}

#[derive(Debug)]
enum Key {
    Fixed(i64),
    Pair(i32, i32),
    /// A number times the CRC-32 of the database's name.
    TimesCrc(i64),
    /// A number times the CRC-32 of schema, table and database, of which 32 bits remain.
    GolangMigrate,
}

impl Known {
    pub(crate) fn key(&self, database: &str) -> LockId {
        match self.key {
            Key::Fixed(key) => LockId::Key(key),
            Key::Pair(first, second) => LockId::Pair(first, second),
            Key::TimesCrc(factor) => LockId::Key(factor.wrapping_mul(crc32(database).into())),
            Key::GolangMigrate => {
                let crc = crc32(&format!("public\0schema_migrations\0{database}"));
                LockId::Key(crc.wrapping_mul(1_486_364_155).into())
            }
        }
    }

    /// Whether the key depends on the database's name.
    pub(crate) fn is_of_database(&self) -> bool {
        matches!(self.key, Key::TimesCrc(_) | Key::GolangMigrate)
    }
}

const fn known(word: &'static str, name: &'static str, key: Key) -> Known {
    Known { word, name, key }
}

/// Those with the usual names of schema and table.
pub(crate) const MIGRATORS: [Known; 10] = [
    known("prisma", "Prisma Migrate", Key::Fixed(72_707_369)),
    known("sqlx", "sqlx migrations", Key::TimesCrc(0x3d32_ad9e)),
    known("rails", "Rails migrations", Key::TimesCrc(2_053_462_845)),
    known("golang-migrate", "golang-migrate", Key::GolangMigrate),
    known("flyway", "Flyway", Key::Fixed(77_433_833_903_597)),
    known("goose", "goose", Key::Fixed(4_097_083_626)),
    known(
        "kysely",
        "Kysely migrations",
        Key::Fixed(3_853_314_791_062_309_107),
    ),
    known(
        "node-pg-migrate",
        "node-pg-migrate",
        Key::Fixed(7_241_865_325_823_964),
    ),
    known(
        "postgres-migrations",
        "postgres-migrations",
        Key::Fixed(-8_525_285_245_963_000_605),
    ),
    known(
        "liquibase-sessionlock",
        "liquibase-sessionlock",
        Key::Pair(-755_096_828, -977_423_767),
    ),
];

/// The checksum of zlib, which has no table here: a name is short.
fn crc32(text: &str) -> u32 {
    let mut crc = u32::MAX;
    for byte in text.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            let mask = 0_u32.wrapping_sub(crc & 1);
            crc = (crc >> 1) ^ (0xedb8_8320 & mask);
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the tools' own code, for databases of these names.
    #[test]
    fn keys_are_those_of_the_tools() {
        let key = |word: &str, database: &str| {
            let known = MIGRATORS.iter().find(|known| known.word == word).unwrap();
            known.key(database)
        };
        assert_eq!(key("sqlx", "app"), LockId::Key(3_469_795_979_745_788_610));
        assert_eq!(
            key("sqlx", "postgres"),
            LockId::Key(368_907_709_894_077_238)
        );
        assert_eq!(key("rails", "app"), LockId::Key(6_939_591_962_871_035_475));
        assert_eq!(
            key("rails", "app_production"),
            LockId::Key(4_615_154_450_383_096_620)
        );
        assert_eq!(key("golang-migrate", "app"), LockId::Key(1_787_120_056));
        assert_eq!(key("golang-migrate", "shop"), LockId::Key(3_689_236_698));
        assert_eq!(i64::from(crc32("goose")), 4_097_083_626);
    }
}
