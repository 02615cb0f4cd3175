//! Durations in messages, all in one format.

use std::time::Duration;

/// A duration with two units at most; what is smaller is cut off.
// Input:  90.5 s
// Output: 1 min 30 s
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let tenths = duration.subsec_millis() / 100;
    match seconds {
        0 if !duration.is_zero() && duration.as_millis() == 0 => "less than 1 ms".to_owned(),
        0 => format!("{} ms", duration.as_millis()),
        1..60 if tenths == 0 => format!("{seconds} s"),
        1..60 => format!("{seconds}.{tenths} s"),
        60..3600 => two_units(seconds, (60, "min"), (1, "s")),
        3600..86_400 => two_units(seconds, (3600, "h"), (60, "min")),
        86_400..172_800 => two_units(seconds, (86_400, "day"), (3600, "h")),
        _ => two_units(seconds, (86_400, "days"), (3600, "h")),
    }
}

fn two_units(seconds: u64, large: (u64, &str), small: (u64, &str)) -> String {
    let count = seconds / large.0;
    match seconds % large.0 / small.0 {
        0 => format!("{count} {}", large.1),
        rest => format!("{count} {} {rest} {}", large.1, small.1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units_at_most() {
        for (millis, text) in [
            (0, "0 ms"),
            (7, "7 ms"),
            (1000, "1 s"),
            (1999, "1.9 s"),
            (60_000, "1 min"),
            (90_500, "1 min 30 s"),
            (7_200_000, "2 h"),
            (7_265_000, "2 h 1 min"),
            (86_400_000, "1 day"),
            (172_800_000, "2 days"),
            (2_147_483_647, "24 days 20 h"),
        ] {
            assert_eq!(super::duration(Duration::from_millis(millis)), text);
        }
        assert_eq!(
            super::duration(Duration::from_micros(400)),
            "less than 1 ms"
        );
    }
}
