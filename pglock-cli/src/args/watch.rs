//! `watch`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::Select;
use super::time::time;

#[derive(Args, Debug)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    pub(crate) select: Select,
    /// From the end of a look to the next: `2s`, or a number of seconds; 0.5s to 1h [default: 2s]
    #[arg(short = 'n', long, value_name = "TIME", value_parser = refresh)]
    pub(crate) refresh: Option<Duration>,
    /// What to begin with
    #[arg(long, value_name = "VIEW", default_value = "blocked")]
    pub(crate) view: View,
}

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum View {
    /// Who waits for whom
    Blocked,
    /// Locks that are held and waited for
    Locks,
    /// Advisory locks: who holds each, and how many wait
    Named,
    /// Sessions that hold locks, or wait for one
    Sessions,
}

impl View {
    pub(crate) const ALL: [Self; 4] = [Self::Blocked, Self::Locks, Self::Named, Self::Sessions];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Locks => "locks",
            Self::Named => "named",
            Self::Sessions => "sessions",
        }
    }
}

/// How long there is between two looks.
pub(crate) fn refresh(text: &str) -> Result<Duration, String> {
    let refresh = time(text)?;
    if (Duration::from_millis(500)..=Duration::from_secs(3_600)).contains(&refresh) {
        Ok(refresh)
    } else {
        Err("it has to be between 0.5s and 1h".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_between_looks_has_bounds() {
        for (text, millis) in [
            ("2", 2_000),
            ("0.5", 500),
            ("1m 30s", 90_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(refresh(text), Ok(Duration::from_millis(millis)));
        }
        for text in ["0.4", "0", "-1", "2h", "soon", "nan", "1e400", ""] {
            assert!(refresh(text).is_err(), "{text}");
        }
    }
}
