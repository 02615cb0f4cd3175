use std::time::UNIX_EPOCH;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;

use super::super::model::{Action, Question};
use super::*;
use crate::args::View;
use crate::commands::watch::made_up::{row, sheet, trees};

fn model() -> Model {
    let mut model = Model::new(View::Blocked);
    model.list.show(trees());
    model
}

fn status() -> Status {
    Status {
        place: "app at 10.0.0.1:5432 · PostgreSQL 15.18".to_owned(),
        refresh: Duration::from_secs(2),
        at: Some(UNIX_EPOCH + Duration::from_secs(50_602)),
        outage: None,
        cost: Cost {
            last: Duration::from_millis(3),
            longest: Duration::from_millis(41),
            looks: 7,
            statements: 1,
        },
        may_act: true,
        palette: Palette { has_colors: true },
    }
}

fn drawn(model: &mut Model, status: &Status, width: u16, height: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, model, status)).unwrap();
    terminal
}

/// The lines without what is blank at their ends.
fn lines(terminal: &Terminal<TestBackend>) -> Vec<String> {
    let buffer = terminal.backend().buffer();
    let line = |y| {
        let cells = (0..buffer.area.width).map(|x| buffer[(x, y)].symbol());
        cells.collect::<String>().trim_end().to_owned()
    };
    (0..buffer.area.height).map(line).collect()
}

fn screen(model: &mut Model, status: &Status, width: u16, height: u16) -> Vec<String> {
    lines(&drawn(model, status, width, height))
}

#[test]
fn the_whole_screen() {
    let lines = screen(&mut model(), &status(), 110, 16);
    let expected = "
 pglock  app at 10.0.0.1:5432 · PostgreSQL 15.18 · 14:03:22 UTC · every 2s
 [1 blocked] 2 locks  3 named  4 sessions                                                               5 rows
   SESSION       DOES                       STATEMENT
▸  20 backup     IDLE_IN_TRANSACTION 2 h    COPY customers TO STDOUT
   21 web        waits 90.0 s               TRUNCATE customers
   10 report     IDLE_IN_TRANSACTION 5 min  SELECT count(*) FROM orders
   11 migration  waits 43.0 s               ALTER TABLE orders ADD note text
   12 web        waits 33.1 s               SELECT * FROM orders




──────────────────────────────────────────────────────────────────────────────────────────────────────────────
 20 backup (app@10.0.3.17)  IDLE_IN_TRANSACTION 2 h
 COPY customers TO STDOUT
 ↑↓ move  ⏎ details  c cancel  t terminate  space tag  / filter  s sort  p pause  y copy  ? help  q quit";
    assert_eq!(lines.join("\n"), &expected[1..]);
}

#[test]
fn what_there_is_no_room_for_is_left_out() {
    let narrow = screen(&mut model(), &status(), 50, 16).join("\n");
    assert!(!narrow.contains("STATEMENT"), "{narrow}");
    assert!(narrow.contains("IDLE_IN_TRANSACTION 5 min"), "{narrow}");
    assert!(narrow.ends_with("? help  q quit"), "{narrow}");
    let low = screen(&mut model(), &status(), 110, 8);
    assert!(low[3].starts_with("▸  20 backup"), "{low:?}");
    assert!(low[6].starts_with("   11 migration"), "{low:?}");
    for (width, height) in [(1, 1), (2, 4), (5, 5), (20, 4), (300, 3)] {
        screen(&mut model(), &status(), width, height);
    }
}

#[test]
fn a_question_is_asked_where_it_is_seen() {
    let mut model = model();
    model.ask(Question {
        about: (1..=30).map(|nth| format!("session {nth}")).collect(),
        asks: "It would let 3 others go on. End these 30 sessions? [y/N]".to_owned(),
        is_open: false,
    });
    let lines = screen(&mut model, &status(), 50, 16);
    assert_eq!(lines.last().unwrap(), "", "it cannot be answered yet");
    model.open();
    let lines = screen(&mut model, &status(), 50, 16);
    assert_eq!(
        lines[lines.len() - 4..],
        [
            " … and 27 more",
            " It would let 3 others go on. End these 30",
            " sessions? [y/N]",
            " y yes  any other key no"
        ]
    );
    assert!(lines.contains(&" session 3".to_owned()), "{lines:?}");
}

#[test]
fn an_outage_is_said_over_the_last_picture() {
    let status = Status {
        outage: Some(Outage {
            what: "no connection for 12 s; trying again".to_owned(),
            why: "cannot connect to database \"app\" at 10.0.0.1:5432: nothing listens there; start it".to_owned(),
        }),
        ..status()
    };
    let lines = screen(&mut model(), &status, 80, 16);
    assert_eq!(lines[0], " no connection for 12 s; trying again");
    assert!(lines[3].contains("20 backup"), "{lines:?}");
}

#[test]
fn nothing_is_said_in_words() {
    let mut model = model();
    model.list.show(sheet(Vec::new()));
    let lines = screen(&mut model, &status(), 80, 16);
    assert_eq!(lines[3], " nobody waits for a lock");
    model.list.show(trees());
    model.apply(Action::Filter);
    model.apply(Action::Type('ß'));
    let lines = screen(&mut model, &status(), 80, 16);
    assert_eq!(lines[3], " none of 5 rows fits the filter");
    assert_eq!(lines[15], " /ß");
    assert!(lines[0].ends_with("filter: ß"), "{lines:?}");
}

#[test]
fn who_may_not_act_is_not_told_how() {
    let status = Status {
        may_act: false,
        ..status()
    };
    let lines = screen(&mut model(), &status, 110, 16);
    assert!(
        !lines[15].contains("terminate") && lines[15].contains("filter"),
        "{lines:?}"
    );
}

#[test]
fn help_has_the_cost_of_a_look() {
    let mut model = model();
    model.apply(Action::Help);
    let help = screen(&mut model, &status(), 100, 30).join("\n");
    assert!(
        help.contains(
            "A look at `blocked` is 1 statement to the server: 3 ms the last time, 41 ms at most, of 7."
        ),
        "{help}"
    );
    assert!(
        help.contains("pg_blocking_pids") && help.contains("terminate"),
        "{help}"
    );
}

#[test]
fn colours_say_what_words_say_and_can_be_left_out() {
    let mut model = model();
    model.apply(Action::Tag);
    for (has_colors, waits) in [(true, Color::Red), (false, Color::Reset)] {
        let status = Status {
            palette: Palette { has_colors },
            ..status()
        };
        let terminal = drawn(&mut model, &status, 110, 16);
        let buffer = terminal.backend().buffer();
        // Of 12, which waits, and is neither selected nor tagged.
        let cell = &buffer[(18, 7)];
        assert_eq!((cell.symbol(), cell.fg), ("a", waits));
        assert_eq!(cell.modifier.contains(Modifier::BOLD), !has_colors);
        // 20 is tagged, and 21 selected.
        assert_eq!(
            (buffer[(1, 3)].symbol(), buffer[(0, 4)].symbol()),
            ("*", "▸")
        );
        assert!(buffer[(3, 3)].modifier.contains(Modifier::BOLD));
        assert!(buffer[(3, 4)].modifier.contains(Modifier::REVERSED));
        let cells = buffer.content();
        let coloured = cells
            .iter()
            .any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset);
        assert_eq!(coloured, has_colors);
        let bold_or_reverse = Modifier::BOLD | Modifier::REVERSED;
        let others = cells
            .iter()
            .any(|cell| !bold_or_reverse.contains(cell.modifier));
        assert_eq!(others, has_colors, "only colours come with dim");
    }
}

#[test]
fn wide_characters_keep_the_columns() {
    let mut model = model();
    model.list.show(sheet(vec![
        row(1, 0, 1, ["日本語", "waits 1.0 s", "SELECT 'größer'"]),
        row(2, 0, 1, ["b", "waits 2.0 s", "SELECT 1"]),
    ]));
    let lines = screen(&mut model, &status(), 80, 16);
    let column = |line: &str, word: &str| text::width(&line[..line.find(word).unwrap()]);
    // The buffer has a blank behind each wide character.
    assert_eq!(column(&lines[3], "waits") - 3, column(&lines[4], "waits"));
}
