//! Of leaders.

use super::*;

/// Two terms of a leader, of which the first was lost.
const LED: &str = "10 1 called 0 exclusive leader 7; 20 1 began; 40 1 dropped; \
                   40 2 called 0 exclusive leader 7; 45 1 returned lost-within; \
                   60 2 began; 80 2 ended; 81 2 returned kept";

#[test]
fn terms_follow_each_other_and_end_for_a_reason() {
    let cause = || vec![terminated(0, &[0], 25, 30)];
    assert_eq!(found([LED], cause()), []);
    assert_eq!(found([LED], vec![]), [Rule::LossWithoutCause]);
    let early = LED.replace("60 2 began", "39 2 began");
    assert_eq!(found([&early], cause()), [Rule::TermsOverlap]);
    // It never ended, which is too long, too.
    let on_and_on = LED.replace("40 1 dropped; ", "");
    assert_eq!(
        found([&on_and_on], cause()),
        [Rule::TermsOverlap, Rule::LedTooLong]
    );
    // That of another leader may run at the same time, if it is about another lock.
    let second = "40 2 called 1 exclusive leader 8; 42 2 began; 80 2 ended; 81 2 returned kept";
    let of_another = format!("{KEPT}; {second}").replace("exclusive;", "exclusive leader 7;");
    assert_eq!(found([&of_another], vec![]), []);
    // Another process led meanwhile: between the terms, or before the first one knew of its loss.
    for began in ["45", "31"] {
        let other = format!(
            "12 1 called 0 exclusive leader 1; {began} 1 began; 55 1 ended; 56 1 returned kept"
        );
        assert_eq!(found([LED, &other], cause()), []);
    }
    let other = "12 1 called 0 exclusive leader 1; 24 1 began; 55 1 ended; 56 1 returned kept";
    assert_eq!(found([LED, other], cause()), [Rule::Overlap]);
    let other = "12 1 called 0 exclusive leader 1; 45 1 began; 61 1 ended; 62 1 returned kept";
    assert_eq!(found([LED, other], cause()), [Rule::Overlap]);
}

#[test]
fn what_passes_ends_no_leader() {
    let canceled = || vec![fault(What::Canceled, 15, 25), restarted(26, 28)];
    for outcome in ["connect", "canceled", "lost-within"] {
        let waits = format!("10 1 called 0 exclusive leader 7; 50 1 returned {outcome}");
        assert_eq!(
            found([&waits], canceled()),
            [Rule::GaveUpLeading],
            "{outcome}"
        );
        let again = LED.replace(
            "60 2 began; 80 2 ended; 81 2 returned kept",
            &format!("81 2 returned {outcome}"),
        );
        assert_eq!(
            found(
                [&again],
                vec![fault(What::Canceled, 15, 60), restarted(26, 45)]
            ),
            [Rule::GaveUpLeading]
        );
        // Nobody's term.
        let call = waits.replace(" leader 7", "");
        assert_eq!(found([&call], canceled()), []);
    }
    for outcome in ["busy", "table-full", "unsaid", "kept", "lost-after"] {
        let ended = format!(
            "10 1 called 0 exclusive leader 7; 20 1 began; 40 1 ended; 50 1 returned {outcome}"
        );
        let rules = found(
            [&ended],
            vec![restarted(45, 48), fault(What::TableFull, 15, 25)],
        );
        assert!(!rules.contains(&Rule::GaveUpLeading), "{outcome}");
    }
    // Killed before it could go on.
    let next = "40 2 called 0 exclusive leader 7; 45 1 returned lost-within";
    let killed_between = format!("{STOPPED}; {next}").replace("exclusive;", "exclusive leader 7;");
    let killed_between = killed_between.replace("50 1 returned lost-within; ", "");
    assert_eq!(
        found(
            [&killed_between],
            vec![restarted(25, 30), killed(0, 46, 50)]
        ),
        []
    );
}

#[test]
fn a_leader_stops_when_it_has_lost_the_lock() {
    // All in nanoseconds: 30 is when the session is gone.
    let bound = 3_000_000_000;
    let long = |end: u64| {
        format!(
            "10 1 called 0 exclusive leader 7; 20 1 began; {end} 1 dropped; {end} 1 returned unsaid"
        )
    };
    for cause in [terminated(0, &[0], 25, 30), restarted(25, 30)] {
        assert_eq!(found([&long(31 + bound)], vec![cause]), [Rule::LedTooLong]);
    }
    assert_eq!(found([&long(30 + bound)], vec![restarted(25, 30)]), []);
    for another in [
        terminated(0, &[1], 25, 30),
        terminated(1, &[0], 25, 30),
        terminated(0, &[0], 15, 30),
        restarted(15, 30),
        fault(What::Canceled, 25, 30),
    ] {
        assert_eq!(found([&long(31 + bound)], vec![another]), []);
    }
    // A call that blocks can't be stopped.
    let call = long(31 + bound).replace(" leader 7", "");
    assert_eq!(found([&call], vec![restarted(25, 30)]), []);
}
