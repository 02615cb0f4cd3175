//! Rows for tests.

use std::cmp::Reverse;

use super::rows::{Row, RowId, SessionId, Sheet};
use crate::show::style;
use crate::show::table::{Cell, Column};

pub(super) fn session(pid: i32) -> SessionId {
    SessionId { pid, start: None }
}

/// A row of a session in a group; the number is what it sorts by, large ones first.
pub(super) fn row(pid: i32, group: usize, number: u128, texts: [&str; 3]) -> Row {
    let [who, does, statement] = texts;
    let style = if does.starts_with("waits") {
        style::WAITS
    } else {
        style::IDLES
    };
    Row {
        id: RowId {
            session: Some(session(pid)),
            what: String::new(),
        },
        cells: vec![
            Cell::plain(format!("{pid} {who}")),
            Cell::styled(does, style),
            Cell::plain(statement),
        ],
        group,
        keys: vec![
            (Reverse(number), String::new()),
            (Reverse(0), who.to_owned()),
        ],
        about: [
            format!("{pid} {who} (app@10.0.3.17)  {does}"),
            statement.to_owned(),
        ],
    }
}

pub(super) fn sheet(rows: Vec<Row>) -> Sheet {
    let columns = [("SESSION", 2), ("DOES", 1), ("STATEMENT", 4)].map(|(head, shrinks)| Column {
        head: head.to_owned(),
        shrinks,
    });
    Sheet {
        columns: columns.to_vec(),
        summary: format!("{} rows", rows.len()),
        rows,
        nothing: "nobody waits for a lock",
        orders: &["longest wait", "session"],
    }
}

/// Two trees: 10 with 11 and 12 below it, and 20 with 21.
pub(super) fn trees() -> Sheet {
    sheet(vec![
        row(
            10,
            0,
            40,
            [
                "report",
                "IDLE_IN_TRANSACTION 5 min",
                "SELECT count(*) FROM orders",
            ],
        ),
        row(
            11,
            0,
            40,
            [
                "migration",
                "waits 43.0 s",
                "ALTER TABLE orders ADD note text",
            ],
        ),
        row(12, 0, 40, ["web", "waits 33.1 s", "SELECT * FROM orders"]),
        row(
            20,
            1,
            90,
            [
                "backup",
                "IDLE_IN_TRANSACTION 2 h",
                "COPY customers TO STDOUT",
            ],
        ),
        row(21, 1, 90, ["web", "waits 90.0 s", "TRUNCATE customers"]),
    ])
}
