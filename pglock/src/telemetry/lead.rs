//! Leaders, and their terms.

use std::future::{Future, poll_fn};
use std::pin::pin;

use super::catch_panics::catch_panics;
use super::metrics;
use super::spans::{self, BodySpan};
use super::subject::Subject;

/// A leader, or a process that waits until it is one.
pub(crate) struct LeaderRecord {
    subject: Subject,
}

impl LeaderRecord {
    pub(crate) fn of(subject: Subject) -> Self {
        // So that there is a number before the first term.
        catch_panics(|| metrics::change_leading(subject.label, 0));
        Self { subject }
    }

    /// Records that a term begins. `number` counts those of one call, from 1.
    pub(crate) fn term(&self, number: u64) -> Term {
        catch_panics(|| metrics::change_leading(self.subject.label, 1));
        let span = catch_panics(|| spans::lead(&self.subject, number));
        Term {
            label: self.subject.label,
            span: span.unwrap_or_else(BodySpan::none),
        }
    }
}

/// From when a body begins until that is over.
pub(crate) struct Term {
    label: &'static str,
    span: BodySpan,
}

impl Term {
    /// Runs the body in the span.
    pub(crate) async fn around<F: Future>(self, body: F) -> F::Output {
        let mut body = pin!(body);
        poll_fn(|cx| self.span.run(|| body.as_mut().poll(cx))).await
    }
}

impl Drop for Term {
    fn drop(&mut self) {
        catch_panics(|| metrics::change_leading(self.label, -1));
    }
}
