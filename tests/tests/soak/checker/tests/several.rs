//! Of several locks at once.

use super::*;

/// Keys 0 and 1 from 20 to 40.
const BOTH: &str = "10 1 called 1+0 exclusive; 20 1 began; 40 1 ended; 50 1 returned kept";

#[test]
fn who_has_several_has_each_of_them() {
    for key in ["0", "1"] {
        let next = NEXT.replace("called 0", &format!("called {key}"));
        assert_eq!(found([BOTH, &next], vec![]), [Rule::Overlap]);
        let of_some = NEXT.replace("called 0", &format!("called 2+{key}"));
        assert_eq!(found([BOTH, &of_some], vec![]), [Rule::Overlap]);
        let of_key = key.parse().unwrap();
        assert_eq!(
            found([BOTH], vec![terminated(0, &[of_key], 25, 35)]),
            [Rule::SilentLoss]
        );
        let lost = BOTH.replace("kept", "lost-after");
        assert_eq!(found([&lost], vec![terminated(0, &[of_key], 25, 35)]), []);
        // The loss of one frees no other one.
        let other = NEXT.replace("called 0", &format!("called {}", 1 - of_key));
        assert_eq!(
            found([&lost, &other], vec![terminated(0, &[of_key], 25, 28)]),
            [Rule::Overlap]
        );
        assert_eq!(
            found([&lost, &next], vec![terminated(0, &[of_key], 25, 28)]),
            []
        );
    }
    let other_key = NEXT.replace("called 0", "called 2+3");
    assert_eq!(found([BOTH, &other_key], vec![]), []);
    let lost = BOTH.replace("kept", "lost-after");
    assert_eq!(
        found([&lost], vec![terminated(0, &[2], 25, 35)]),
        [Rule::LossWithoutCause]
    );
    let next = NEXT.replace("called 0", "called 0+1");
    assert_eq!(found([BOTH, &next], vec![]), [Rule::Overlap, Rule::Overlap]);
}

#[test]
fn of_several_those_of_enclosing_calls_are_theirs() {
    let outer = "10 1 called 0 exclusive; 20 1 began";
    let inner = "21 2 called 0+1 exclusive within 1; 22 2 began; 30 2 ended; 31 2 returned kept";
    let ends = "40 1 ended; 50 1 returned kept";
    let log = [outer, inner, ends].join("; ");
    assert_eq!(found([&log], vec![]), []);
    let during = |key: &str| {
        format!("12 1 called {key} exclusive; 25 1 began; 26 1 ended; 70 1 returned kept")
    };
    assert_eq!(found([&log, &during("0")], vec![]), [Rule::Overlap]);
    assert_eq!(found([&log, &during("1")], vec![]), [Rule::Overlap]);
    assert_eq!(
        found(
            [&log, &during("1").replace("25", "30").replace("26", "31")],
            vec![]
        ),
        []
    );
    // The one that is shared was lost before the other one was asked for.
    let lost = log.replace("kept", "lost-after");
    assert_eq!(found([&lost], vec![terminated(0, &[0], 20, 21)]), []);
}

#[test]
fn several_are_lost_together() {
    let outer = "10 1 called 0+1 exclusive; 20 1 began";
    let inner =
        "30 2 called 1 exclusive within 1; 31 2 began; 35 2 ended; 36 2 returned lost-after";
    let innermost =
        "32 3 called 1+2 exclusive within 2; 33 3 began; 34 3 ended; 34 3 returned lost-after";
    let ends = "40 1 ended; 50 1 returned lost-after";
    for log in [
        [outer, inner, ends].join("; "),
        [outer, inner, innermost, ends].join("; "),
    ] {
        assert_eq!(found([&log], vec![terminated(0, &[0], 25, 28)]), []);
        let without_cause = found([&log], vec![terminated(0, &[3], 25, 28)]);
        assert!(without_cause.len() > 1, "{without_cause:?}");
        assert!(
            without_cause
                .iter()
                .all(|rule| *rule == Rule::LossWithoutCause)
        );
        // After the inner one had said so.
        let too_late = found([&log], vec![terminated(0, &[0], 37, 39)]);
        assert!(!too_late.is_empty());
    }
}

#[test]
fn who_waits_for_several_has_some_and_can_be_in_a_deadlock() {
    let told = "10 1 called 0+1 exclusive; 50 1 returned deadlock";
    assert_eq!(found([told], vec![]), []);
}
