//! Logs written by hand, with what has to be found in them.

mod leaders;
mod permits;
mod several;

use super::*;
use crate::log;

/// What is found in the logs of processes 0, 1, .., whose lines have times in nanoseconds.
fn found<const N: usize>(logs: [&str; N], faults: Vec<Fault>) -> Vec<Rule> {
    let mut history = History::of(faults);
    for (process, log) in (0..).zip(logs) {
        let lines = format!("{log}; ").replace("; ", "\n");
        history.add(process, log::read(&lines));
    }
    let found = violations(&history);
    found.into_iter().map(|violation| violation.rule).collect()
}

fn fault(what: What, from: u64, until: u64) -> Fault {
    let (from, until) = (Time::from_nanos(from), Time::from_nanos(until));
    Fault {
        what,
        from,
        gone: until,
        until,
    }
}

fn killed(process: u32, from: u64, until: u64) -> Fault {
    fault(What::Killed(process), from, until)
}

fn restarted(from: u64, until: u64) -> Fault {
    fault(What::Restarted, from, until)
}

fn terminated(process: u32, keys: &[usize], from: u64, until: u64) -> Fault {
    let held = keys.iter().map(|key| (*key, Mode::Exclusive)).collect();
    fault(What::Terminated { process, held }, from, until)
}

/// A section of key 0 from 20 to 40.
const KEPT: &str = "10 1 called 0 exclusive; 20 1 began; 40 1 ended; 50 1 returned kept";
const LOST: &str = "10 1 called 0 exclusive; 20 1 began; 40 1 ended; 50 1 returned lost-after";
const STOPPED: &str =
    "10 1 called 0 exclusive; 20 1 began; 40 1 dropped; 50 1 returned lost-within";
const UNSAID: &str = "10 1 called 0 exclusive; 20 1 began; 40 1 dropped; 50 1 returned unsaid";
const SHARED: &str = "10 1 called 0 shared; 20 1 began; 40 1 ended; 50 1 returned kept";

/// One from 30 to 60.
const NEXT: &str = "12 1 called 0 exclusive; 30 1 began; 60 1 ended; 70 1 returned kept";
const NEXT_SHARED: &str = "12 1 called 0 shared; 30 1 began; 60 1 ended; 70 1 returned kept";

#[test]
fn what_may_be() {
    let after = "12 1 called 0 exclusive; 40 1 began; 60 1 ended; 70 1 returned kept";
    assert_eq!(found([KEPT, after], vec![]), []);
    let other_key = "12 1 called 1 exclusive; 30 1 began; 60 1 ended; 70 1 returned kept";
    assert_eq!(found([KEPT, other_key], vec![]), []);
    assert_eq!(found([SHARED, NEXT_SHARED], vec![]), []);
    for outcome in ["busy", "connect", "unsaid"] {
        let in_vain = format!("12 1 called 0 exclusive; 70 1 returned {outcome}");
        assert_eq!(found([KEPT, &in_vain], vec![]), [], "{outcome}");
    }
}

#[test]
fn two_that_kept_a_lock_never_overlap() {
    assert_eq!(found([KEPT, NEXT], vec![]), [Rule::Overlap]);
    assert_eq!(found([SHARED, NEXT], vec![]), [Rule::Overlap]);
    assert_eq!(found([KEPT, NEXT_SHARED], vec![]), [Rule::Overlap]);
    // By a nanosecond, within another one, and within one process.
    let barely = "12 1 called 0 exclusive; 39 1 began; 60 1 ended; 70 1 returned kept";
    assert_eq!(found([KEPT, barely], vec![]), [Rule::Overlap]);
    let within = "12 1 called 0 exclusive; 21 1 began; 22 1 ended; 23 1 returned kept";
    assert_eq!(found([KEPT, within], vec![]), [Rule::Overlap]);
    let both = format!("{KEPT}; {}", NEXT.replace(" 1 ", " 2 "));
    assert_eq!(found([&both], vec![]), [Rule::Overlap]);
    // A fault excuses nobody who says that the lock was kept.
    assert_eq!(
        found([KEPT, NEXT], vec![terminated(0, &[0], 22, 45)]),
        [Rule::Overlap]
    );
    assert_eq!(
        found([KEPT, NEXT], vec![terminated(1, &[0], 5, 15)]),
        [Rule::Overlap]
    );
    // Not only neighbours.
    let shared = "11 1 called 0 shared; 21 1 began; 22 1 ended; 23 1 returned kept";
    assert_eq!(found([SHARED, shared, NEXT], vec![]), [Rule::Overlap]);
}

#[test]
fn who_lost_it_before_may_overlap() {
    for lost in [LOST, STOPPED, UNSAID] {
        for before in [
            terminated(0, &[0], 25, 28),
            terminated(0, &[0], 25, 45),
            restarted(25, 28),
            // Before its body began.
            terminated(0, &[], 11, 15),
        ] {
            assert_eq!(found([lost, NEXT], vec![before]), [], "{lost}");
        }
        // The later one was lost before the earlier one began.
        let next = NEXT.replace("kept", "unsaid");
        assert_eq!(found([lost, &next], vec![restarted(13, 18)]), []);
    }
    assert_eq!(found([UNSAID, NEXT], vec![]), [Rule::Overlap]);
    for too_late in [terminated(0, &[0], 31, 35), restarted(31, 65)] {
        assert_eq!(found([LOST, NEXT], vec![too_late]), [Rule::Overlap]);
    }
    for another in [
        // Ended before it was called.
        terminated(0, &[0], 5, 9),
        terminated(1, &[0], 25, 28),
        // Of another key, when it held its own.
        terminated(0, &[1], 25, 28),
    ] {
        let found = found([LOST, NEXT], vec![another]);
        assert_eq!(found, [Rule::LossWithoutCause, Rule::Overlap]);
    }
    // The later one's loss came when the earlier one was already in.
    let next = NEXT.replace("kept", "lost-after");
    assert_eq!(
        found([KEPT, &next], vec![terminated(1, &[0], 25, 28)]),
        [Rule::Overlap]
    );
}

#[test]
fn a_killed_process_is_free_when_it_is_killed() {
    let killed_within = "10 1 called 0 exclusive; 20 1 began";
    assert_eq!(found([killed_within], vec![killed(0, 25, 28)]), []);
    assert_eq!(found([killed_within, NEXT], vec![killed(0, 25, 28)]), []);
    assert_eq!(found([killed_within, NEXT], vec![killed(0, 29, 32)]), []);
    assert_eq!(
        found([killed_within, NEXT], vec![killed(0, 31, 33)]),
        [Rule::Overlap]
    );
    // After the body, before it could say.
    let killed_after = "10 1 called 0 exclusive; 20 1 began; 40 1 ended";
    assert_eq!(
        found([killed_after, NEXT], vec![killed(0, 41, 45)]),
        [Rule::Overlap]
    );
    assert_eq!(
        found([killed_within, NEXT], vec![killed(1, 25, 28)]),
        [Rule::NeverReturned, Rule::Overlap]
    );
}

#[test]
fn a_loss_is_said() {
    for fault in [
        restarted(25, 35),
        terminated(0, &[0], 25, 35),
        terminated(0, &[0, 1], 20, 40),
    ] {
        assert_eq!(found([KEPT], vec![fault]), [Rule::SilentLoss]);
    }
    for of_another in [
        terminated(0, &[1], 25, 35),
        terminated(1, &[0], 25, 35),
        // It may have been released before, or granted after.
        terminated(0, &[0], 25, 41),
        restarted(25, 41),
        terminated(0, &[0], 19, 35),
        restarted(19, 35),
    ] {
        assert_eq!(found([KEPT], vec![of_another]), []);
    }
    for said in [LOST, STOPPED, UNSAID] {
        assert_eq!(found([said], vec![restarted(25, 35)]), []);
    }
    // The process may have had it in two sessions.
    assert_eq!(found([SHARED], vec![terminated(0, &[0], 25, 35)]), []);
}

#[test]
fn a_loss_has_a_cause() {
    assert_eq!(found([LOST], vec![]), [Rule::LossWithoutCause]);
    assert_eq!(
        found([STOPPED], vec![restarted(1, 9)]),
        [Rule::LossWithoutCause]
    );
    assert_eq!(
        found([STOPPED], vec![restarted(51, 60)]),
        [Rule::LossWithoutCause]
    );
    assert_eq!(
        found([LOST], vec![terminated(0, &[1], 25, 28)]),
        [Rule::LossWithoutCause]
    );
    assert_eq!(found([LOST], vec![terminated(0, &[], 45, 60)]), []);
    let at_the_door = "10 1 called 0 exclusive; 20 1 returned lost-within";
    assert_eq!(found([at_the_door], vec![]), [Rule::LossWithoutCause]);
}

#[test]
fn a_body_runs_as_the_call_says() {
    for outcome in ["busy", "connect"] {
        assert_eq!(
            found([&KEPT.replace("kept", outcome)], vec![]),
            [Rule::RanAndDenied]
        );
    }
    let not_at_all = "10 1 called 0 exclusive; 50 1 returned kept";
    assert_eq!(found([not_at_all], vec![]), [Rule::SaidToHaveRun]);
    assert_eq!(
        found([&KEPT.replace("ended", "dropped")], vec![]),
        [Rule::SaidToHaveRun]
    );
    let twice = KEPT.replace("40 1 ended", "21 1 began; 40 1 ended");
    assert_eq!(found([&twice], vec![]), [Rule::RanTwice]);
    for wrong in [
        LOST.replace("ended", "dropped"),
        STOPPED.replace("dropped", "ended"),
    ] {
        assert_eq!(
            found([&wrong], vec![restarted(25, 28)]),
            [Rule::BodyFinishedIsWrong]
        );
    }
    let unexpected = "10 1 called 0 exclusive; 50 1 returned unexpected: what?";
    let unexpected = unexpected.replace(": ", " ");
    assert_eq!(found([&unexpected], vec![]), [Rule::UnexpectedError]);
    assert_eq!(
        found(["10 1 called 0 exclusive"], vec![]),
        [Rule::NeverReturned]
    );
}

#[test]
fn a_lock_is_kept_for_as_long_as_was_asked() {
    // Until 90.
    let kept = KEPT.replace("exclusive", "exclusive kept-for 80");
    let next = "12 1 called 0 exclusive; 89 1 began; 95 1 ended; 99 1 returned kept";
    assert_eq!(found([&kept, next], vec![]), [Rule::FreedTooEarly]);
    assert_eq!(found([&kept, &next.replace("89", "90")], vec![]), []);
    let dropped = UNSAID.replace("exclusive", "exclusive kept-for 80");
    assert_eq!(found([&dropped, next], vec![]), [Rule::FreedTooEarly]);
    for cause in [
        terminated(0, &[0], 60, 70),
        restarted(60, 70),
        killed(0, 60, 70),
    ] {
        assert_eq!(found([&kept, next], vec![cause]), []);
    }
    assert_eq!(
        found([&kept, next], vec![terminated(0, &[1], 60, 70)]),
        [Rule::FreedTooEarly]
    );
}

#[test]
fn a_call_that_re_enters_leaves_it_to_the_enclosing_one() {
    let outer = "10 1 called 0 exclusive; 20 1 began";
    let between = "21 2 called 1 exclusive within 1; 22 2 began";
    let inner = "23 3 called 0 exclusive within 2; 24 3 began; 25 3 ended; 26 3 returned kept";
    let ends = "30 2 ended; 31 2 returned kept; 40 1 ended; 50 1 returned kept";
    let log = [outer, between, inner, ends].join("; ");
    assert_eq!(found([&log], vec![]), []);
    assert_eq!(found([&log, NEXT], vec![]), [Rule::Overlap]);
    // Lost in the enclosing call, and known in the one that re-enters, which was made after.
    let known = "30 3 called 0 exclusive within 1; 31 3 returned lost-within";
    let ends = "40 1 ended; 50 1 returned lost-after";
    let log = [outer, known, ends].join("; ");
    assert_eq!(found([&log], vec![terminated(0, &[0], 25, 28)]), []);
    assert_eq!(
        found([&log], vec![terminated(0, &[1], 25, 28)]),
        [Rule::LossWithoutCause, Rule::LossWithoutCause]
    );
}

#[test]
fn what_is_canceled_or_has_no_room_is_so_only_then() {
    for (outcome, what, rule) in [
        ("canceled", What::Canceled, Rule::CanceledByNobody),
        ("table-full", What::TableFull, Rule::TableWasNotFull),
    ] {
        let denied = format!("10 1 called 0 exclusive; 50 1 returned {outcome}");
        assert_eq!(found([&denied], vec![]), [rule]);
        for other in [restarted(20, 30), killed(1, 20, 30)] {
            assert_eq!(found([&denied], vec![other]), [rule]);
        }
        let again = |what: &What| match what {
            What::Canceled => What::Canceled,
            _ => What::TableFull,
        };
        assert_eq!(found([&denied], vec![fault(again(&what), 1, 9)]), [rule]);
        assert_eq!(found([&denied], vec![fault(again(&what), 51, 60)]), [rule]);
        assert_eq!(found([&denied], vec![fault(what, 49, 60)]), []);
        let ran = KEPT.replace("kept", outcome);
        assert_eq!(found([&ran], vec![]), [Rule::RanAndDenied, rule]);
    }
}

#[test]
fn cancels_end_transactions_and_releases_alone_and_a_full_table_nothing() {
    let frail = |log: &str| log.replace("exclusive", "exclusive frail yes");
    let canceled = || vec![fault(What::Canceled, 25, 28)];
    assert_eq!(found([LOST], canceled()), [Rule::LossWithoutCause]);
    assert_eq!(found([&frail(LOST)], canceled()), []);
    assert_eq!(found([&frail(LOST), NEXT], canceled()), []);
    assert_eq!(found([&frail(UNSAID), NEXT], canceled()), []);
    assert_eq!(found([UNSAID, NEXT], canceled()), [Rule::Overlap]);
    assert_eq!(found([&frail(KEPT), NEXT], canceled()), [Rule::Overlap]);
    assert_eq!(found([&frail(KEPT)], canceled()), []);
    let full = vec![fault(What::TableFull, 25, 28)];
    assert_eq!(found([&frail(LOST)], full), [Rule::LossWithoutCause]);
}

#[test]
fn a_deadlock_needs_a_lock_that_is_held_and_no_order() {
    let alone = "10 1 called 0 exclusive; 50 1 returned deadlock";
    assert_eq!(found([alone], vec![]), [Rule::FalseDeadlock]);
    let on_its_session = alone.replace("exclusive", "exclusive alone yes");
    assert_eq!(found([&on_its_session], vec![]), []);
    let ran = KEPT.replace("kept", "deadlock");
    assert_eq!(
        found([&ran], vec![]),
        [Rule::RanAndDenied, Rule::FalseDeadlock]
    );
    let outer = "10 1 called 0 exclusive; 20 1 began";
    let inner = "21 2 called 1 exclusive within 1; 30 2 returned deadlock";
    let log = format!("{outer}; {inner}; 40 1 ended; 50 1 returned kept");
    assert_eq!(found([&log], vec![]), []);
    let mut history = History::of(vec![]);
    history.in_order = true;
    history.add(0, log::read(&format!("{log}; ").replace("; ", "\n")));
    let rules = violations(&history);
    let rules: Vec<_> = rules.iter().map(|violation| violation.rule).collect();
    assert_eq!(rules, [Rule::FalseDeadlock]);
}
