//! What locks are called: how a word becomes a key, and how a key gets its name back.

mod catalogs;
mod entry;
mod guesses;
mod known;
pub(crate) mod packed;

use std::collections::{BTreeSet, HashMap};

use pglock::{Lock, LockId};

use crate::args::{Global, Scheme};
use crate::config::Config;
use crate::failure::Failure;

pub(crate) use entry::{Entry, NamedBy, Taken, read_key};
use guesses::Guesses;
pub(crate) use known::{Known, MIGRATORS};

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Names {
    entries: Vec<Entry>,
    by_key: HashMap<LockId, usize>,
    /// Those of the locks that limits are made of, which were found in a server.
    of_limits: HashMap<LockId, String>,
    guesses: Guesses,
}

impl Names {
    /// Those of the files that the command line and `pglock.toml` name, and of the latter itself.
    pub(crate) fn of(global: &Global, config: &Config) -> Result<Self, Failure> {
        let mut names = Self {
            guesses: Guesses::new(&config.names("try")?)?,
            ..Self::default()
        };
        for name in config.names("locks")? {
            names.add(Entry {
                id: Some(name.as_str().into()),
                name,
                from: NamedBy::Config,
                permits: None,
                taken: None,
            });
        }
        let configured = config.names("catalogs")?;
        let configured = configured.iter().map(|path| config.path_of(path));
        for path in global.catalogs.iter().cloned().chain(configured) {
            for entry in catalogs::read(&path)? {
                names.add(entry);
            }
        }
        Ok(names)
    }

    fn add(&mut self, entry: Entry) {
        // A number is no name: it is only known where it is taken.
        if let Some(id @ LockId::Name(_)) = &entry.id {
            self.by_key.entry(id.to_key()).or_insert(self.entries.len());
        }
        self.entries.push(entry);
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// A name that is asked for is known as well.
    pub(crate) fn add_asked(&mut self, id: &LockId) {
        if let LockId::Name(name) = id {
            self.add(Entry {
                name: name.clone().into_owned(),
                id: Some(id.clone()),
                from: NamedBy::Config,
                permits: None,
                taken: None,
            });
        }
    }

    /// The limits that are known.
    pub(crate) fn limits(&self) -> impl Iterator<Item = LockId> {
        let limits = self.entries.iter().filter(|entry| entry.permits.is_some());
        limits.filter_map(|entry| entry.id.clone())
    }

    /// What the locks of limits are called, by their keys.
    pub(crate) fn add_of_limits(&mut self, names: impl IntoIterator<Item = (LockId, String)>) {
        let by_key = names.into_iter().map(|(id, name)| (id.to_key(), name));
        self.of_limits.extend(by_key);
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
        if let Some(entry) = self.by_key.get(&key.to_key()) {
            let entry = &self.entries[*entry];
            return Some((entry.name.clone(), entry.from));
        }
        if let Some(name) = self.of_limits.get(&key.to_key()) {
            return Some((name.clone(), NamedBy::Limit));
        }
        if let Some(name) = self.guesses.of_key(key) {
            return Some((name, NamedBy::Tried));
        }
        let known = MIGRATORS.iter().find(|known| known.key(database) == *key)?;
        Some((known.name.to_owned(), NamedBy::BuiltIn))
    }

    /// Where programs take this lock, by their catalogs.
    pub(crate) fn taken(&self, id: &LockId) -> impl Iterator<Item = &Taken> {
        let key = id.to_key();
        let is_it = move |entry: &&Entry| entry.id.as_ref().is_some_and(|id| id.to_key() == key);
        let entries = self.entries.iter().filter(is_it);
        entries.filter_map(|entry| entry.taken.as_ref())
    }

    /// Limits to which programs give different numbers of permits, and where each of two does.
    pub(crate) fn unlike_limits(&self) -> Vec<[&Entry; 2]> {
        let mut first: HashMap<LockId, &Entry> = HashMap::new();
        let mut unlike = Vec::new();
        for entry in &self.entries {
            let Some(id) = entry.id.as_ref().filter(|_| entry.permits.is_some()) else {
                continue;
            };
            let before = *first.entry(id.to_key()).or_insert(entry);
            if before.permits != entry.permits {
                unlike.push([before, entry]);
            }
        }
        unlike
    }

    /// Each two names that have the same key, so that their locks exclude each other.
    pub(crate) fn same_key(&self) -> BTreeSet<(&str, &str)> {
        let first = |entry: &Entry| {
            let key = entry.id.as_ref()?.to_key();
            self.by_key.get(&key).map(|first| &self.entries[*first])
        };
        let pairs = self.entries.iter().filter_map(|entry| {
            let other = first(entry)?;
            (other.name != entry.name).then_some((other.name.as_str(), entry.name.as_str()))
        });
        let of_migrators = MIGRATORS.iter().filter(|known| !known.is_of_database());
        let with_migrators = of_migrators.flat_map(|known| {
            let key = known.key("").to_key();
            let same = move |entry: &&Entry| entry.id.as_ref().is_some_and(|id| id.to_key() == key);
            let entries = self.entries.iter().filter(same);
            entries.map(|entry| (known.name, entry.name.as_str()))
        });
        pairs.chain(with_migrators).collect()
    }
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
    fn names_of_one_key_are_told_once() {
        let mut names = Names::default();
        let entry = |name: &str, id: LockId| Entry {
            name: name.to_owned(),
            id: Some(id),
            from: NamedBy::Catalog,
            permits: None,
            taken: None,
        };
        names.add(entry("a", "hashed".into()));
        names.add(entry("a", "hashed".into()));
        names.add(entry("b", "hashed".into()));
        names.add(entry("b", "hashed".into()));
        names.add(entry("c", "otherwise".into()));
        names.add(entry("72707369", 72_707_369_i64.into()));
        assert_eq!(
            names.same_key().into_iter().collect::<Vec<_>>(),
            [("Prisma Migrate", "72707369"), ("a", "b")]
        );
    }

    #[test]
    fn a_number_of_a_catalog_is_no_name() {
        let mut names = Names::default();
        names.add(Entry {
            name: "42".to_owned(),
            id: Some(42_i64.into()),
            from: NamedBy::Catalog,
            permits: None,
            taken: None,
        });
        assert_eq!(names.of_key(&42_i64.into(), ""), None);
    }

    #[test]
    fn a_pair_is_not_the_key_of_the_same_bits() {
        let mut names = Names::default();
        names.add_asked(&"nightly-report".into());
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
