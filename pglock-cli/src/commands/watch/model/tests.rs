use super::*;
use crate::commands::watch::made_up::{row, session, sheet, trees};

fn model() -> Model {
    let mut model = Model::new(View::Blocked);
    model.list.show(trees());
    model.list.window(10);
    model
}

fn pids(model: &Model) -> Vec<i32> {
    let rows = (0..model.list.len()).filter_map(|place| model.list.row(place));
    rows.map(|row| row.id.session.unwrap().pid).collect()
}

fn selected(model: &Model) -> i32 {
    model.list.selected().unwrap().id.session.unwrap().pid
}

fn down(model: &mut Model, lines: isize) {
    model.apply(Action::Move(Step::By(lines)));
}

fn type_filter(model: &mut Model, text: &str) {
    model.apply(Action::Filter);
    for character in text.chars() {
        model.apply(Action::Type(character));
    }
    model.apply(Action::Keep);
}

fn asked(model: &mut Model) -> Vec<i32> {
    match model.apply(Action::Ask(Verb::Terminate)) {
        Some(Effect::Ask(Verb::Terminate, chosen)) => {
            chosen.into_iter().map(|session| session.pid).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn question() -> Question {
    Question {
        about: vec!["10 \"report\"".to_owned()],
        asks: "End this session? [y/N]".to_owned(),
        is_open: false,
    }
}

#[test]
fn trees_stay_whole_when_they_are_sorted() {
    let mut model = model();
    // The longest wait first.
    assert_eq!(pids(&model), [20, 21, 10, 11, 12]);
    model.apply(Action::Sort);
    assert_eq!(model.list.order(), "session");
    assert_eq!(model.message, ["sorted by session"]);
}

#[test]
fn each_view_keeps_its_order() {
    let mut model = model();
    model.apply(Action::Sort);
    assert_eq!(model.apply(Action::Show(View::Locks)), Some(Effect::Look));
    model.list.show(trees());
    assert_eq!(model.list.order(), "longest wait");
    model.apply(Action::Show(View::Blocked));
    model.list.show(trees());
    assert_eq!(model.list.order(), "session");
}

#[test]
fn the_selection_stays_with_its_session() {
    let mut model = model();
    down(&mut model, 3);
    assert_eq!(selected(&model), 11);
    // 20 and 21 are gone, 9 has come.
    model.list.show(sheet(vec![
        row(9, 0, 99, ["a", "", ""]),
        row(10, 1, 40, ["report", "", ""]),
        row(11, 1, 40, ["migration", "", ""]),
        row(12, 1, 40, ["web", "", ""]),
    ]));
    assert_eq!(selected(&model), 11);
    // Gone itself: whoever is in its place.
    model.list.show(sheet(vec![
        row(9, 0, 99, ["a", "", ""]),
        row(10, 1, 40, ["report", "", ""]),
    ]));
    assert_eq!(selected(&model), 10);
    model.list.show(sheet(Vec::new()));
    assert!(model.list.selected().is_none());
}

#[test]
fn moves_end_at_the_first_and_the_last_row() {
    let mut model = model();
    down(&mut model, -1);
    assert_eq!(model.list.place(), 0);
    down(&mut model, 99);
    assert_eq!(model.list.place(), 4);
    model.apply(Action::Move(Step::First));
    assert_eq!(model.list.place(), 0);
}

#[test]
fn the_selected_row_is_on_the_screen() {
    let mut model = model();
    assert_eq!(model.list.window(2), 0..2);
    down(&mut model, 2);
    assert_eq!(model.list.window(2), 1..3);
    down(&mut model, -1);
    assert_eq!(model.list.window(2), 1..3);
    model.apply(Action::Move(Step::Last));
    assert_eq!(model.list.window(2), 3..5);
    // The screen has grown: no room is wasted.
    assert_eq!(model.list.window(4), 1..5);
    model.list.show(sheet(vec![row(1, 0, 1, ["a", "", ""])]));
    assert_eq!(model.list.window(4), 0..1);
}

#[test]
fn a_filter_shows_whole_trees_and_is_applied_while_it_is_typed() {
    let mut model = model();
    model.apply(Action::Filter);
    model.apply(Action::Type('M'));
    model.apply(Action::Type('i'));
    assert_eq!(pids(&model), [10, 11, 12]);
    model.apply(Action::Type('x'));
    assert_eq!(pids(&model), [0; 0]);
    model.apply(Action::Erase);
    assert_eq!(pids(&model), [10, 11, 12]);
    // Left: as it was before.
    model.apply(Action::Leave);
    assert_eq!(pids(&model), [20, 21, 10, 11, 12]);
    type_filter(&mut model, "truncate");
    assert_eq!(pids(&model), [20, 21]);
    // It stays in other views, until it is taken away.
    model.apply(Action::Show(View::Sessions));
    model.list.show(trees());
    assert_eq!(pids(&model), [20, 21]);
    model.apply(Action::Leave);
    assert_eq!(model.list.filter(), "");
}

#[test]
fn verbs_concern_the_selected_session_or_those_that_are_tagged_and_shown() {
    let mut model = model();
    assert_eq!(asked(&mut model), [20]);
    model.apply(Action::Tag);
    assert_eq!(selected(&model), 21, "it goes on to the next");
    down(&mut model, 2);
    model.apply(Action::Tag);
    assert_eq!(asked(&mut model), [20, 11]);
    // What is not shown is not hit.
    type_filter(&mut model, "migration");
    assert_eq!(asked(&mut model), [11]);
    model.apply(Action::Leave);
    assert_eq!(model.list.tags(), 0);
}

#[test]
fn tags_of_those_who_are_gone_are_gone() {
    let mut model = model();
    model.apply(Action::Tag);
    assert_eq!(model.list.tags(), 1);
    model
        .list
        .show(sheet(vec![row(10, 0, 1, ["report", "", ""])]));
    assert_eq!(model.list.tags(), 0);
    assert_eq!(asked(&mut model), [10]);
}

#[test]
fn another_session_with_the_same_pid_is_not_tagged() {
    let mut model = model();
    model.apply(Action::Tag);
    let mut other = row(20, 0, 1, ["web", "", ""]);
    other.id.session = Some(SessionId {
        pid: 20,
        start: Some(std::time::SystemTime::UNIX_EPOCH),
    });
    model.list.show(sheet(vec![other]));
    assert_eq!(model.list.tags(), 0);
}

#[test]
fn only_yes_acts() {
    let mut model = model();
    model.ask(question());
    model.open();
    assert_eq!(model.apply(Action::Answer(false)), None);
    assert_eq!(model.message, ["nothing was done"]);
    assert!(matches!(model.mode, Mode::Browse));
    // And only while it is asked, and was drawn.
    assert_eq!(model.apply(Action::Answer(true)), None);
    model.ask(question());
    assert!(model.is_about_to_ask());
    assert_eq!(model.apply(Action::Answer(true)), None);
    model.ask(question());
    model.open();
    assert!(!model.is_about_to_ask());
    assert_eq!(model.apply(Action::Answer(true)), Some(Effect::Hit));
    assert_eq!(model.apply(Action::Answer(true)), None);
}

#[test]
fn a_question_does_not_outlive_a_stop() {
    let mut model = model();
    model.ask(question());
    model.open();
    assert_eq!(model.apply(Action::Suspend), Some(Effect::Suspend));
    assert_eq!(model.apply(Action::Answer(true)), None);
}

#[test]
fn going_on_after_a_pause_looks_at_once() {
    let mut model = model();
    assert_eq!(model.apply(Action::Pause), None);
    assert!(model.is_paused);
    assert_eq!(model.apply(Action::Pause), Some(Effect::Look));
}

#[test]
fn views_are_in_a_ring() {
    let mut model = model();
    model.apply(Action::Turn(-1));
    assert_eq!(model.view, View::Sessions);
    model.apply(Action::Turn(1));
    assert_eq!(model.view, View::Blocked);
    assert_eq!(model.apply(Action::Show(View::Blocked)), None);
}

#[test]
fn details_are_of_the_selected_session_and_scroll() {
    let mut model = model();
    let shows = model.apply(Action::Details);
    assert_eq!(shows, Some(Effect::Details(session(20))));
    model.show_details(vec!["a".to_owned(), "b".to_owned()]);
    down(&mut model, 5);
    assert!(matches!(model.mode, Mode::Details { top: 1, .. }));
    model.apply(Action::Leave);
    assert!(matches!(model.mode, Mode::Browse));
}
