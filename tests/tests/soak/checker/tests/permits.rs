//! Of limits.

use super::*;

/// A permit of limit 0, which has two, from 20 to 40, and as the others above.
fn permit(log: &str) -> String {
    log.replace("exclusive", "one-of-2")
}

#[test]
fn no_more_have_a_permit_than_there_are() {
    let [kept, next] = [KEPT, NEXT].map(permit);
    assert_eq!(found([&kept, &next], vec![]), []);
    let third = "13 1 called 0 one-of-2; 39 1 began; 61 1 ended; 70 1 returned kept";
    assert_eq!(found([&kept, &next, third], vec![]), [Rule::TooMany]);
    let of_one_process = [
        kept.clone(),
        next.replace(" 1 ", " 2 "),
        third.replace(" 1 ", " 3 "),
    ];
    assert_eq!(found([&of_one_process.join("; ")], vec![]), [Rule::TooMany]);
    // One after the other, and of another limit.
    assert_eq!(
        found([&kept, &next, &third.replace("39", "40")], vec![]),
        []
    );
    assert_eq!(
        found(
            [&kept, &next, &third.replace("called 0", "called 1")],
            vec![]
        ),
        []
    );
    let three = [&kept, &next, third].map(|log| log.replace("one-of-2", "one-of-3"));
    let [kept_of_3, next_of_3, third_of_3] = three.each_ref().map(String::as_str);
    assert_eq!(found([kept_of_3, next_of_3, third_of_3], vec![]), []);
    let fourth = "13 1 called 0 one-of-3; 38 1 began; 61 1 ended; 70 1 returned kept";
    assert_eq!(
        found([kept_of_3, next_of_3, third_of_3, fourth], vec![]),
        [Rule::TooMany]
    );
    // Kept for longer than its body runs.
    let until_90 = kept.replace("one-of-2", "one-of-2 kept-for 80");
    let late = "13 1 called 0 one-of-2; 59 1 began; 95 1 ended; 99 1 returned kept";
    assert_eq!(found([&until_90, &next, late], vec![]), [Rule::TooMany]);
    assert_eq!(
        found([&until_90, &next, &late.replace("59", "60")], vec![]),
        []
    );
}

#[test]
fn who_lost_a_permit_before_is_none_of_too_many() {
    let [lost, next] = [LOST, NEXT].map(permit);
    let third = "13 1 called 0 one-of-2; 39 1 began; 61 1 ended; 70 1 returned kept";
    let terminated = |from, until| {
        let held = vec![(0, Mode::Permit(2))];
        vec![fault(What::Terminated { process: 0, held }, from, until)]
    };
    assert_eq!(found([&lost, &next, third], terminated(35, 38)), []);
    // Another one has begun when two of them had permits for sure, though not the first of all.
    assert_eq!(found([&lost, &next, third], terminated(25, 28)), []);
    for too_late in [terminated(40, 41), vec![restarted(40, 75)]] {
        assert_eq!(found([&lost, &next, third], too_late), [Rule::TooMany]);
    }
    // It is of the process, and it was seen to have no permit.
    let of_another = vec![fault(
        What::Terminated {
            process: 0,
            held: vec![(1, Mode::Permit(2))],
        },
        25,
        28,
    )];
    assert_eq!(
        found([&lost, &next, third], of_another),
        [Rule::LossWithoutCause, Rule::TooMany]
    );
    // Whoever says that it was kept is not excused. What was terminated may be another permit of the process.
    let kept = permit(KEPT);
    assert_eq!(
        found([&kept, &next, third], terminated(25, 28)),
        [Rule::TooMany]
    );
    assert_eq!(found([&kept], terminated(25, 28)), []);
    assert_eq!(found([&kept], vec![restarted(25, 28)]), [Rule::SilentLoss]);
    let dead = "10 1 called 0 one-of-2; 20 1 began";
    assert_eq!(found([dead, &next, third], vec![killed(0, 38, 42)]), []);
    assert_eq!(
        found([dead, &next, third], vec![killed(0, 40, 42)]),
        [Rule::TooMany]
    );
}
