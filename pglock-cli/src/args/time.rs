//! Times on the command line.

use std::time::Duration;

/// As for `sleep(1)` and `watch(1)`, a number without a unit is one of seconds.
// Input:  1m 30s
// Output: 90 seconds
pub(super) fn time(text: &str) -> Result<Duration, String> {
    match text.trim().parse().map(Duration::try_from_secs_f64) {
        Ok(seconds) => seconds.map_err(|error| error.to_string()),
        Err(_) => humantime::parse_duration(text).map_err(|error| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_or_are_seconds() {
        for (text, millis) in [
            ("2", 2_000),
            ("0.5", 500),
            ("0", 0),
            ("250ms", 250),
            ("1m 30s", 90_000),
        ] {
            assert_eq!(time(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["-1", "soon", "nan", "1e400", "", "1 fortnight"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
