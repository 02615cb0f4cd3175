//! Terms of a leader.

use std::future::{Future, poll_fn};
use std::pin::pin;

use super::catch_panics::catch_panics;
use super::metrics;
use super::spans::{self, BodySpan};
use super::subject::Subject;

/// A term: from when its body begins until that is over.
pub(crate) struct LeadSpan {
    subject: Subject,
    span: BodySpan,
}

impl LeadSpan {
    /// `term` counts those of one call, from 1.
    pub(crate) fn of(subject: Subject, term: u64) -> Self {
        catch_panics(|| metrics::leads(&subject, true));
        Self {
            span: catch_panics(|| spans::lead(&subject, term)).unwrap_or_else(BodySpan::none),
            subject,
        }
    }

    /// Runs the body in the span.
    pub(crate) async fn around<F: Future>(self, body: F) -> F::Output {
        let mut body = pin!(body);
        poll_fn(|cx| self.span.run(|| body.as_mut().poll(cx))).await
    }
}

impl Drop for LeadSpan {
    fn drop(&mut self) {
        catch_panics(|| metrics::leads(&self.subject, false));
    }
}
