//! Keys as other programs make them of names, so that a lock can be shared with those. Pure.

use std::borrow::Cow;

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::{Digest as _, Md5};
use sha2::Sha256;

use super::lock_id::{ForeignId, Key, LockId};

fn foreign(scheme: &'static str, name: Cow<'static, str>, key: impl FnOnce(&str) -> Key) -> LockId {
    let key = key(&name);
    LockId::Foreign(ForeignId { scheme, name, key })
}

/// The locks of other programs.
///
/// They are named in errors as `"nightly-report" (hashtext)`. Sessions say their key only.
impl LockId {
    /// The lock that SQL takes as `pg_advisory_lock(hashtext('name'))`: that of Laravel's advisory locks, and of most
    /// functions in PL/pgSQL.
    ///
    /// The key has 32 bits only, so of 77,000 names two have the same with even odds: not for names of your own. Postgres
    /// calls the function internal. It depends on the byte order of the server, which is little-endian here, and on the
    /// encoding of the database, which is UTF-8 here.
    ///
    /// See also [`hashfunc.c`](https://github.com/postgres/postgres/blob/master/src/common/hashfn.c) of Postgres.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// use pglock::LockId;
    ///
    /// let guard = pglock::advisory(LockId::hashtext("nightly-report")).acquire()?;
    /// # let mut client = database.connect();
    /// let row = client.query_one("SELECT pg_try_advisory_lock(hashtext('nightly-report'))", &[])?;
    /// assert!(!row.get::<_, bool>(0));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn hashtext(name: impl Into<Cow<'static, str>>) -> Self {
        foreign("hashtext", name.into(), |name| {
            let (_, low) = lookup3(name.as_bytes(), 0);
            Key::Big(low.cast_signed().into())
        })
    }

    /// Like [`hashtext`](Self::hashtext), for `pg_advisory_lock(hashtextextended('name', seed))`, whose key has 64 bits.
    ///
    /// ```
    /// use pglock::LockId;
    ///
    /// let id = LockId::hashtextextended("nightly-report", 0);
    /// assert_eq!(pglock::advisory_id(id), pglock::advisory_id(-1_761_082_894_366_742_330_i64));
    /// ```
    #[must_use]
    pub fn hashtextextended(name: impl Into<Cow<'static, str>>, seed: i64) -> Self {
        foreign("hashtextextended", name.into(), |name| {
            let (high, low) = lookup3(name.as_bytes(), seed.cast_unsigned());
            Key::Big(((u64::from(high) << 32) | u64::from(low)).cast_signed())
        })
    }

    /// The lock that sqlx takes as `PgAdvisoryLock::new("name")`: for a fleet that moves from there one service after the
    /// other.
    ///
    /// ```
    /// use pglock::LockId;
    ///
    /// let id = LockId::sqlx("my first Postgres advisory lock!");
    /// assert_eq!(pglock::advisory_id(id), pglock::advisory_id(-5_560_419_505_042_474_287_i64));
    /// ```
    #[must_use]
    pub fn sqlx(name: impl Into<Cow<'static, str>>) -> Self {
        foreign("sqlx", name.into(), |name| {
            // HKDF with SHA-256: an extraction without a salt, and the first block of the expansion.
            let extracted = hmac(&[0; 32], &[name.as_bytes()]);
            let expanded = hmac(&extracted, &[b"SQLx (Rust) Postgres advisory lock", &[1]]);
            Key::Big(i64::from_le_bytes(first_eight(&expanded)))
        })
    }

    /// The lock that SQL takes as `pg_advisory_lock(('x' || substr(md5('name'), 1, 16))::bit(64)::bigint)`: that of
    /// `GoodJob`, and of many answers to the question how a name becomes a key.
    ///
    /// ```
    /// use pglock::LockId;
    ///
    /// let id = LockId::md5("hello");
    /// assert_eq!(pglock::advisory_id(id), pglock::advisory_id(6_719_722_671_305_337_462_i64));
    /// ```
    #[must_use]
    pub fn md5(name: impl Into<Cow<'static, str>>) -> Self {
        foreign("md5", name.into(), |name| {
            let digest = Md5::digest(name.as_bytes());
            Key::Big(i64::from_be_bytes(first_eight(&digest)))
        })
    }

    /// The lock that the Ruby gem `with_advisory_lock` takes: a pair of the name's CRC-32 and 0.
    ///
    /// ```
    /// use pglock::LockId;
    ///
    /// let id = LockId::with_advisory_lock("hello");
    /// assert_eq!(pglock::advisory_id(id), pglock::advisory_id((907_060_870, 0)));
    /// ```
    #[must_use]
    pub fn with_advisory_lock(name: impl Into<Cow<'static, str>>) -> Self {
        foreign("with_advisory_lock", name.into(), |name| {
            let crc = crc32(name.as_bytes()) & 0x7fff_ffff;
            Key::Pair(crc.cast_signed(), 0)
        })
    }
}

fn first_eight(bytes: &[u8]) -> [u8; 8] {
    let mut first = [0; 8];
    first.copy_from_slice(&bytes[..8]);
    first
}

/// `key` has at most a block of SHA-256, which is 64 bytes, and is filled up with zeros.
fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new(&block.into());
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// The checksum of zlib. Names are short, so it needs no table.
fn crc32(bytes: &[u8]) -> u32 {
    let crc = bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            let polynomial = if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
            (crc >> 1) ^ polynomial
        })
    });
    !crc
}

/// Bob Jenkins' hash as Postgres has it: the high and the low half of `hash_bytes_extended`, of which the low one is
/// `hash_bytes` where the seed is 0.
fn lookup3(bytes: &[u8], seed: u64) -> (u32, u32) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let start = 0x9e37_79b9_u32.wrapping_add(length).wrapping_add(3_923_095);
    let mut state = [start; 3];
    if seed != 0 {
        let halves = seed.to_be_bytes();
        let [high, low] = [&halves[..4], &halves[4..]].map(|half| {
            half.iter()
                .fold(0_u32, |word, byte| (word << 8) | u32::from(*byte))
        });
        state[0] = state[0].wrapping_add(high);
        state[1] = state[1].wrapping_add(low);
        mix(&mut state);
    }
    let blocks = bytes.chunks_exact(12);
    let rest = blocks.remainder();
    for block in blocks {
        for (word, bytes) in state.iter_mut().zip(block.chunks(4)) {
            *word = word.wrapping_add(word_of(bytes));
        }
        mix(&mut state);
    }
    for (nth, (word, bytes)) in state.iter_mut().zip(rest.chunks(4)).enumerate() {
        // The lowest byte of the last word is the length's.
        let shift = if nth == 2 { 8 } else { 0 };
        *word = word.wrapping_add(word_of(bytes) << shift);
    }
    finish(&mut state);
    (state[1], state[2])
}

/// Little-endian, with zeros for what is missing.
fn word_of(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .rev()
        .fold(0, |word, byte| (word << 8) | u32::from(*byte))
}

fn mix(state: &mut [u32; 3]) {
    let [mut a, mut b, mut c] = *state;
    // One of them loses another one, is mixed with it rotated, and the other one gets the third.
    let step = |x: &mut u32, y: &mut u32, z: u32, bits| {
        *x = x.wrapping_sub(*y) ^ y.rotate_left(bits);
        *y = y.wrapping_add(z);
    };
    step(&mut a, &mut c, b, 4);
    step(&mut b, &mut a, c, 6);
    step(&mut c, &mut b, a, 8);
    step(&mut a, &mut c, b, 16);
    step(&mut b, &mut a, c, 19);
    step(&mut c, &mut b, a, 4);
    *state = [a, b, c];
}

fn finish(state: &mut [u32; 3]) {
    let [mut a, mut b, mut c] = *state;
    let step = |x: &mut u32, y: u32, bits| *x = (*x ^ y).wrapping_sub(y.rotate_left(bits));
    step(&mut c, b, 14);
    step(&mut a, c, 11);
    step(&mut b, a, 25);
    step(&mut c, b, 16);
    step(&mut a, c, 4);
    step(&mut b, a, 14);
    step(&mut c, b, 24);
    *state = [a, b, c];
}

#[cfg(test)]
mod tests {
    use pglock_tests::database;
    use proptest::prelude::*;

    use super::*;

    fn key(id: &LockId) -> i64 {
        match Key::of(id) {
            Key::Big(key) => key,
            Key::Pair(..) => panic!("{id} is a pair"),
        }
    }

    #[test]
    fn keys_are_those_of_the_others() {
        for (name, hashed) in [
            ("nightly-report", 759_228_614),
            ("hello", -1_870_292_951),
            ("invoices", -1_932_672_530),
            ("größe-日本", 1_061_185_013),
            ("", -1_477_818_771),
        ] {
            assert_eq!(key(&LockId::hashtext(name)), hashed, "{name}");
        }
        for (name, seed, hashed) in [
            ("nightly-report", 0, -1_761_082_894_366_742_330),
            ("hello", 0, 3_449_563_369_152_288_809),
            ("invoices", 0, 8_935_325_689_529_090_542),
            ("hello", 166, -6_887_920_281_376_557_761),
        ] {
            assert_eq!(
                key(&LockId::hashtextextended(name, seed)),
                hashed,
                "{name}, {seed}"
            );
        }
        assert_eq!(
            key(&LockId::sqlx("nightly-report")),
            8_797_529_593_787_444_750
        );
        assert_eq!(key(&LockId::sqlx("invoices")), -3_968_904_723_606_150_521);
        assert_eq!(
            key(&LockId::md5("nightly-report")),
            -4_356_550_688_942_722_626
        );
        let ruby = |name: &'static str| Key::of(&LockId::with_advisory_lock(name));
        assert_eq!(ruby("nightly-report"), Key::Pair(69_980_848, 0));
        assert_eq!(ruby("invoices"), Key::Pair(1_781_477_269, 0));
    }

    #[test]
    fn they_are_named_with_how_the_key_was_made() {
        assert_eq!(LockId::hashtext("a").to_string(), "\"a\" (hashtext)");
        assert!(Key::checked(&LockId::md5("")).is_err());
    }

    #[test]
    fn the_server_hashes_alike() {
        let db = database();
        let client = std::cell::RefCell::new(db.connect());
        let names = proptest::string::string_regex("[^\0]{0,40}").unwrap();
        proptest!(|(name in names, seed in any::<i64>())| {
            let row = client.borrow_mut().query_one(
                "SELECT hashtext($1)::bigint, hashtextextended($1, $2), ('x' || substr(md5($1), 1, 16))::bit(64)::bigint",
                &[&name, &seed],
            ).unwrap();
            prop_assert_eq!(key(&LockId::hashtext(name.clone())), row.get::<_, i64>(0));
            prop_assert_eq!(key(&LockId::hashtextextended(name.clone(), seed)), row.get::<_, i64>(1));
            prop_assert_eq!(key(&LockId::md5(name)), row.get::<_, i64>(2));
        });
    }

    #[cfg(feature = "sqlx")]
    #[test]
    fn sqlx_hashes_alike() {
        use sqlx::postgres::{PgAdvisoryLock, PgAdvisoryLockKey};
        for name in ["nightly-report", "größe-日本", ""] {
            match PgAdvisoryLock::new(name).key() {
                PgAdvisoryLockKey::BigInt(theirs) => assert_eq!(key(&LockId::sqlx(name)), *theirs),
                other => panic!("{other:?}"),
            }
        }
    }
}
