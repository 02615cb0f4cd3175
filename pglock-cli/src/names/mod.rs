//! What locks are called: how a word becomes a key, and how a key gets its name back.

mod known;

use pglock::{Lock, LockId};

use crate::args::Scheme;
use crate::config::Config;
use crate::failure::Failure;

pub(crate) use known::{Known, MIGRATORS};

/// Where a name is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NamedBy {
    /// A session says it, and it hashes to the key.
    Session,
    /// `pglock.toml`, or the command line.
    Config,
    BuiltIn,
}

impl NamedBy {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Config => "pglock.toml",
            Self::BuiltIn => "built in",
        }
    }
}

/// The names that are known before a server is asked.
#[derive(Debug, Default)]
pub(crate) struct Names {
    configured: Vec<String>,
}

impl Names {
    pub(crate) fn of(config: &Config) -> Result<Self, Failure> {
        Ok(Self {
            configured: config.names_of_locks()?,
        })
    }

    pub(crate) fn configured(&self) -> impl Iterator<Item = &str> {
        self.configured.iter().map(String::as_str)
    }

    /// A name that is asked for is known as well.
    pub(crate) fn add(&mut self, id: &LockId) {
        if let LockId::Name(name) = id {
            self.configured.push(name.clone().into_owned());
        }
    }

    /// What an advisory lock is called, as far as it is known. `database` is the one that it is in.
    pub(crate) fn of_lock(&self, lock: &Lock, database: &str) -> Option<(String, NamedBy)> {
        let key = lock.advisory_key.as_ref()?;
        if let Some(name) = &lock.advisory_name {
            return Some((name.clone(), NamedBy::Session));
        }
        self.of_key(key, database)
    }

    pub(crate) fn of_key(&self, key: &LockId, database: &str) -> Option<(String, NamedBy)> {
        let is_it = |name: &&String| is_key_of(key, &LockId::from(name.as_str()));
        if let Some(name) = self.configured.iter().find(is_it) {
            return Some((name.clone(), NamedBy::Config));
        }
        let known = MIGRATORS.iter().find(|known| known.key(database) == *key)?;
        Some((known.name.to_owned(), NamedBy::BuiltIn))
    }
}

/// Whether a name, key or pair is this key of `pg_locks`.
fn is_key_of(key: &LockId, id: &LockId) -> bool {
    key.to_key() == id.to_key()
}

/// The lock that a word on the command line means, and what to call it.
pub(crate) struct Meant {
    pub(crate) id: LockId,
    pub(crate) called: String,
}

/// Reads a word. `database` is needed for the migrators whose key depends on it.
pub(crate) fn read(word: &str, scheme: Scheme, database: Option<&str>) -> Result<Meant, Failure> {
    let key = || read_key(word);
    let id = match scheme {
        Scheme::Name => LockId::from(word),
        Scheme::Hashtext => LockId::hashtext(word.to_owned()),
        Scheme::Hashtextextended => LockId::hashtextextended(word.to_owned(), 0),
        Scheme::Sqlx => LockId::sqlx(word.to_owned()),
        Scheme::Md5 => LockId::md5(word.to_owned()),
        Scheme::WithAdvisoryLock => LockId::with_advisory_lock(word.to_owned()),
        Scheme::Key => key().ok_or_else(|| {
            Failure::new(format!(
                "{word:?} is not a key; write an integer of 64 bits, or two of 32 bits as in `1,2`"
            ))
        })?,
        Scheme::Auto => {
            if let Some(known) = MIGRATORS.iter().find(|known| known.word == word) {
                return of_migrator(known, database);
            }
            key().unwrap_or_else(|| LockId::from(word))
        }
    };
    if word.is_empty() {
        return Err(Failure::new("the name of a lock is empty; write one"));
    }
    Ok(Meant {
        called: id.to_string(),
        id,
    })
}

/// Whether the word stands for a migrator whose key depends on the database.
pub(crate) fn is_of_database(word: &str) -> bool {
    MIGRATORS
        .iter()
        .any(|known| known.word == word && known.is_of_database())
}

fn of_migrator(known: &Known, database: Option<&str>) -> Result<Meant, Failure> {
    if known.is_of_database() && database.is_none() {
        return Err(Failure::new(format!(
            "the key of {} depends on the name of the database; pass -d",
            known.name
        )));
    }
    Ok(Meant {
        id: known.key(database.unwrap_or_default()),
        called: known.name.to_owned(),
    })
}

fn read_key(word: &str) -> Option<LockId> {
    if let Some((first, second)) = word.split_once(',') {
        return Some(LockId::Pair(
            first.trim().parse().ok()?,
            second.trim().parse().ok()?,
        ));
    }
    word.parse().ok().map(LockId::Key)
}

/// Whether its key is a pair of integers.
pub(crate) fn is_pair(id: &LockId) -> bool {
    matches!(id.to_key(), LockId::Pair(..))
}

/// The key as text: one number, or the two of a pair.
pub(crate) fn key_text(id: &LockId) -> String {
    match id.to_key() {
        LockId::Pair(first, second) => format!("{first},{second}"),
        key => key.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_names_unless_they_look_like_keys() {
        for (word, id) in [
            ("nightly-report", LockId::from("nightly-report")),
            ("42", LockId::Key(42)),
            ("-7", LockId::Key(-7)),
            ("1, 2", LockId::Pair(1, 2)),
            ("1,x", LockId::from("1,x")),
            ("prisma", LockId::Key(72_707_369)),
        ] {
            assert_eq!(read(word, Scheme::Auto, None).unwrap().id, id);
        }
        assert_eq!(
            read("42", Scheme::Name, None).unwrap().id,
            LockId::from("42")
        );
        assert!(read("x", Scheme::Key, None).is_err());
        assert!(read("", Scheme::Auto, None).is_err());
    }

    #[test]
    fn keys_are_those_of_the_server() {
        assert_eq!(key_text(&"nightly-report".into()), "-8663603374018903193");
        assert_eq!(key_text(&LockId::Key(-1)), "-1");
        assert_eq!(key_text(&LockId::Pair(1, -2)), "1,-2");
    }

    #[test]
    fn a_pair_is_not_the_key_of_the_same_bits() {
        let names = Names {
            configured: vec!["nightly-report".to_owned()],
        };
        let key = LockId::Key(-8_663_603_374_018_903_193);
        assert_eq!(
            names.of_key(&key, ""),
            Some(("nightly-report".to_owned(), NamedBy::Config))
        );
        let (classid, objid) = pglock::advisory_id("nightly-report");
        let pair = LockId::Pair(classid.cast_signed(), objid.cast_signed());
        assert_eq!(names.of_key(&pair, ""), None);
    }
}
