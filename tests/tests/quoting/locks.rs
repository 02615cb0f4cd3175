//! Names of locks, and what is found by them.

use std::time::Duration;

use pglock::{Database, LockId};
use pglock_tests::Key;
use postgres::Client;
use proptest::prelude::*;

use crate::{for_all, text};

/// The key of a name by the server's own hash.
fn key_of(observer: &mut Client, name: &str) -> Key {
    let hash = "SELECT substring(sha256($1) FOR 8)";
    let hash = observer.query_one(hash, &[&name.as_bytes()]).unwrap();
    let hash: Vec<u8> = hash.get(0);
    Key::from(i64::from_le_bytes(hash.try_into().unwrap()))
}

#[test]
fn a_lock_of_any_name_is_the_one_of_its_hash() {
    let inputs = (text(), any::<i64>(), any::<(i32, i32)>());
    for_all(60, inputs, |bench, (name, number, pair)| {
        let own = Database::builder(bench.db.url()).build().unwrap();
        let mut ids = vec![
            (LockId::from(number), Key::from(number)),
            (LockId::from(pair), Key::from(pair)),
        ];
        if name.is_empty() {
            let nameless = pglock::advisory(name).on(&mut bench.client).acquire();
            assert!(nameless.unwrap_err().is_config());
        } else {
            let key = key_of(&mut bench.observer, &name);
            assert_eq!(Key::from(pglock::advisory_id(name.as_str())), key);
            ids.push((LockId::from(name), key));
        }
        for (id, key) in ids {
            let advisory = || pglock::advisory(id.clone());
            let guard = advisory().on(&mut bench.holder).acquire().unwrap();
            let locks = bench.db.advisory_locks();
            let locks: Vec<_> = locks.iter().map(|lock| (lock.key, lock.pid)).collect();
            assert_eq!(locks, [(key, bench.holder_pid)]);
            let mut tx = bench.client.transaction().unwrap();
            let at_once = advisory().timeout(Duration::ZERO);
            let busy = at_once.acquire_xact(&mut tx).unwrap_err();
            assert!(busy.to_string().contains(&id.to_string()), "{busy}");
            let holder = busy.holder().map(|holder| holder.pid);
            assert_eq!(holder, Some(bench.holder_pid), "{busy}");
            tx.rollback().unwrap();
            guard.release().unwrap();
            let guard = advisory().using(&own).acquire().unwrap();
            assert_eq!(bench.db.held(key), 1);
            guard.release().unwrap();
        }
    });
}
