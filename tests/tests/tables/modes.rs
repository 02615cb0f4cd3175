//! Modes: what they are in the server, and which keep each other out.

use std::time::Duration;

use pglock::TableMode;
use postgres::error::SqlState;

use crate::{table_locks, with_tables};

#[test]
fn every_mode_is_what_pg_locks_shows() {
    let db = with_tables();
    let (mut client, mut observer) = (db.connect(), db.connect());
    for mode in TableMode::ALL {
        let mut tx = client.transaction().unwrap();
        pglock::table("orders").mode(mode).lock(&mut tx).unwrap();
        let spelled: String = mode
            .as_str()
            .split('_')
            .map(|word| word[..1].to_owned() + &word[1..].to_lowercase())
            .collect();
        assert_eq!(
            table_locks(&mut observer),
            [format!("orders {spelled}Lock")]
        );
        tx.commit().unwrap();
        assert!(table_locks(&mut observer).is_empty());
    }
}

/// The table of the manual, read row by row: the mode that is asked for, and the held ones that keep it out.
const CONFLICTS: [(TableMode, &[TableMode]); 8] = {
    use TableMode::{
        AccessExclusive, AccessShare, Exclusive, RowExclusive, RowShare, Share, ShareRowExclusive,
        ShareUpdateExclusive,
    };
    [
        (AccessShare, &[AccessExclusive]),
        (RowShare, &[Exclusive, AccessExclusive]),
        (
            RowExclusive,
            &[Share, ShareRowExclusive, Exclusive, AccessExclusive],
        ),
        (
            ShareUpdateExclusive,
            &[
                ShareUpdateExclusive,
                Share,
                ShareRowExclusive,
                Exclusive,
                AccessExclusive,
            ],
        ),
        (
            Share,
            &[
                RowExclusive,
                ShareUpdateExclusive,
                ShareRowExclusive,
                Exclusive,
                AccessExclusive,
            ],
        ),
        (
            ShareRowExclusive,
            &[
                RowExclusive,
                ShareUpdateExclusive,
                Share,
                ShareRowExclusive,
                Exclusive,
                AccessExclusive,
            ],
        ),
        (
            Exclusive,
            &[
                RowShare,
                RowExclusive,
                ShareUpdateExclusive,
                Share,
                ShareRowExclusive,
                Exclusive,
                AccessExclusive,
            ],
        ),
        (AccessExclusive, &TableMode::ALL),
    ]
};

#[test]
fn modes_keep_each_other_out_and_the_holder_of_each_is_named() {
    let db = with_tables();
    let (mut holder, mut client) = (db.connect_as("holder"), db.connect());
    for held_mode in TableMode::ALL {
        let mut held = holder.transaction().unwrap();
        let table = || pglock::table("orders");
        table().mode(held_mode).lock(&mut held).unwrap();
        for (mode, kept_out_by) in CONFLICTS {
            let mut tx = client.transaction().unwrap();
            let free = table().mode(mode).try_lock(&mut tx).unwrap();
            assert_eq!(
                free,
                !kept_out_by.contains(&held_mode),
                "{mode}, {held_mode}"
            );
            if !free {
                let at_once = table().mode(mode).timeout(Duration::ZERO);
                let error = at_once.lock(&mut tx).unwrap_err();
                let holder = error.holder().expect("it is seen");
                assert_eq!(holder.application_name, "holder", "{mode}, {held_mode}");
            }
        }
    }
}

#[test]
fn nobody_reads_or_writes_a_table_that_is_locked_as_a_whole() {
    let db = with_tables();
    let (mut holder, mut other) = (db.connect(), db.connect());
    other.batch_execute("SET lock_timeout = '20ms'").unwrap();
    for (mode, reads, writes) in [
        (None, false, false),
        (Some(TableMode::Exclusive), true, false),
        (Some(TableMode::AccessShare), true, true),
    ] {
        let mut held = holder.transaction().unwrap();
        let table = pglock::table("orders");
        let table = match mode {
            Some(mode) => table.mode(mode),
            None => table,
        };
        table.lock(&mut held).unwrap();
        let mut can = |statement| match other.batch_execute(statement) {
            Ok(()) => true,
            Err(error) => {
                assert_eq!(error.code(), Some(&SqlState::LOCK_NOT_AVAILABLE));
                false
            }
        };
        assert_eq!(can("SELECT FROM orders"), reads, "{mode:?}");
        assert_eq!(can("DELETE FROM orders"), writes, "{mode:?}");
        held.commit().unwrap();
    }
}
