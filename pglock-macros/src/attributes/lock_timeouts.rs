//! The lock timeouts that the attributes of a function set, against what its `prioritize` can do within them.

use std::time::Duration;

use proc_macro2::Span;
use syn::{Error, Result};

use crate::options::client::Client;
use crate::options::duration::DurationArg;
use crate::options::parse::{self, Spanned};

/// What an attribute has to do with the `lock_timeout` of its connection.
pub(crate) struct LockTimeout<'a> {
    pub(crate) client: Result<Client>,
    /// What it sets it to.
    pub(crate) limit: Option<&'a Spanned<DurationArg>>,
    pub(crate) needs: Option<Needs>,
    /// Whether it sets it anew for each try, from a tenth of a second on.
    pub(crate) grows: bool,
}

/// The shortest timeout with which `prioritize` can do something, if the attribute shows it.
#[derive(Clone, Copy)]
pub(crate) struct Needs {
    pub(crate) interval: Duration,
    pub(crate) is_default_interval: bool,
    /// How long `Escalate` waits before it terminates a session.
    pub(crate) grace: Option<Duration>,
}

/// Refuses a timeout with which each wait would end before `prioritize` has done anything about it.
///
/// They are in reading order. What counts is the innermost timeout below `prioritize`, otherwise its own, otherwise the one
/// that is next above.
pub(crate) fn validate<'a>(of_each: &[LockTimeout<'a>]) -> Result<()> {
    parse::combine(of_each.iter().enumerate().map(|(nth, own)| {
        let (Ok(client), Some(needs)) = (&own.client, own.needs) else {
            return Ok(());
        };
        let (above, below) = (&of_each[..nth], &of_each[nth + 1..]);
        let innermost = |of: &[LockTimeout<'a>]| of.iter().rev().find_map(|of| of.limit_on(client));
        let others = innermost(below);
        let is_own = others.is_none() && own.limit.is_some();
        if others.or(own.limit).is_none() && own.is_in_tries(above) {
            return Err(Error::new(
                Span::call_site(),
                "the first tries of `retry` would end before the first poll of `prioritize`: remove that, and write `prioritize_from = 1` in `retry`",
            ));
        }
        let limit = others.or(own.limit).or_else(|| innermost(above));
        match limit {
            Some(Spanned {
                value: DurationArg::Literal(timeout),
                span,
            }) => needs.refuse_below(*timeout, *span, is_own),
            _ => Ok(()),
        }
    }))
}

impl<'a> LockTimeout<'a> {
    /// Whether its lock timeout is that of a try, by one of those `above`.
    fn is_in_tries(&self, above: &[Self]) -> bool {
        let Ok(client) = &self.client else {
            return false;
        };
        let sets = |of: &&Self| of.grows || of.limit.is_some();
        let is_same = |of: &&Self| of.client.as_ref().is_ok_and(|own| own.is_same(client));
        let innermost = above.iter().rev().find(|of| sets(of) && is_same(of));
        innermost.is_some_and(|of| of.grows)
    }

    fn limit_on(&self, client: &Client) -> Option<&'a Spanned<DurationArg>> {
        let is_same = self.client.as_ref().is_ok_and(|own| own.is_same(client));
        self.limit.filter(|_| is_same)
    }
}

impl Needs {
    fn refuse_below(self, timeout: Duration, span: Span, is_own: bool) -> Result<()> {
        if timeout >= self.interval + self.grace.unwrap_or_default() {
            return Ok(());
        }
        let of_it = if is_own { "" } else { " of `prioritize`" };
        let default = if self.is_default_interval {
            ", which is one second by default"
        } else {
            ""
        };
        let name = if is_own {
            "a longer `timeout`"
        } else {
            "a longer one"
        };
        let message = match self.grace {
            None => format!(
                "this timeout is below the interval{of_it}{default}, so the wait would end before the first poll: write {name} or a shorter `interval`"
            ),
            Some(grace) => {
                let comma = if default.is_empty() { "" } else { "," };
                format!(
                    "this timeout is below the interval{of_it}{default}{comma} plus the {} s that `Escalate` leaves a canceled session, so the wait would end before that is terminated: write {name}, or `side_effect = pglock::Escalate::new().after(..)` with a shorter time",
                    grace.as_secs()
                )
            }
        };
        Err(Error::new(span, message))
    }
}
