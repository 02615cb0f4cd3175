//! Locks that are held and waited for, one row each.

use std::cmp::Reverse;

use pglock::Lock;

use super::{Row, RowId, SessionId, Sheet, by_text, called, columns, counted, state_of};
use crate::show::attribute::{Naming, session, what};
use crate::show::style;
use crate::show::table::Cell;
use crate::text;

pub(in super::super) fn sheet(locks: &[Lock], naming: Naming<'_>) -> Sheet {
    let waiting = locks.iter().filter(|lock| !lock.granted).count();
    Sheet {
        columns: columns(&[
            ("LOCK", 0),
            ("MODE", 0),
            ("WAITS", 0),
            ("SESSION", 1),
            ("DOES", 3),
            ("STATEMENT", 4),
        ]),
        rows: locks
            .iter()
            .enumerate()
            .map(|(nth, lock)| row(nth, lock, naming))
            .collect(),
        summary: format!(
            "{} · {waiting} waited for",
            counted(locks.len(), "lock", "locks")
        ),
        nothing: "no locks but those of catalogs, transactions' own, or this session's",
        orders: &["longest wait", "lock", "session"],
    }
}

fn row(nth: usize, lock: &Lock, naming: Naming<'_>) -> Row {
    let activity = &lock.activity;
    let what = text::one_line(&what(lock, naming));
    let lasts = lock.wait_duration.map(text::duration);
    let how = match &lasts {
        Some(lasts) => format!("waits {lasts} for"),
        None if lock.granted => "holds".to_owned(),
        None => "waits for".to_owned(),
    };
    let wait = match lasts {
        None if !lock.granted => "waits".to_owned(),
        lasts => lasts.unwrap_or_default(),
    };
    let waits = u128::from(!lock.granted) + lock.wait_duration.unwrap_or_default().as_micros();
    let statement = text::statement(activity.query.as_deref().unwrap_or_default());
    let of_mode = if lock.granted {
        style::PLAIN
    } else {
        style::WAITS
    };
    Row {
        id: RowId {
            session: Some(SessionId::of(activity)),
            what: format!("{what} {}", lock.mode),
        },
        group: nth,
        keys: vec![
            (Reverse(waits), what.to_lowercase()),
            by_text(&what),
            by_text(&called(activity)),
        ],
        about: [
            format!("{}  {how} {} on {what}", session(activity), lock.mode),
            statement.clone(),
        ],
        cells: vec![
            Cell::styled(what, style::NAME),
            Cell::styled(lock.mode.to_string(), of_mode),
            Cell::styled(wait, style::WAITS),
            Cell::plain(called(activity)),
            state_of(activity),
            Cell::styled(statement, style::DIM),
        ],
    }
}
