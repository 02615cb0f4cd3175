//! What the watch of a try has found out: who was in the way.

use crate::error::{Error, Holder};
use crate::watcher::{Blocker, BlockerAction, PrioritizeReport, SectionHandle, Spared};

/// What a watch has found out until its end.
#[derive(Default)]
pub(super) struct Watched {
    report: PrioritizeReport,
    pub(super) error: Option<Error>,
}

pub(super) async fn end_watch(section: Option<&SectionHandle>) -> Watched {
    let Some(section) = section else {
        return Watched::default();
    };
    match section.end().await {
        Ok(result) => Watched {
            report: result.report,
            error: result.error,
        },
        Err(error) => Watched {
            error: Some(error),
            ..Watched::default()
        },
    }
}

impl Watched {
    /// Who holds the lock, or else who waits for it ahead.
    pub(super) fn holder(&self) -> Option<Box<Holder>> {
        let blockers = self.report.blockers();
        let holds = |it: &&Blocker| !is_queued(it);
        let first = blockers.iter().find(holds).or(blockers.first())?;
        Some(Box::new(as_holder(first)))
    }
}

fn is_queued(blocker: &Blocker) -> bool {
    blocker.action == BlockerAction::Spared(Spared::Queued)
}

fn as_holder(blocker: &Blocker) -> Holder {
    Holder {
        pid: blocker.pid,
        queued: is_queued(blocker),
        prepared: None,
        backend_type: blocker.backend_type.clone(),
        application_name: blocker.application_name.clone(),
        user: blocker.user.clone(),
        client_addr: None,
        this_process: blocker.action == BlockerAction::Spared(Spared::Own),
        query: blocker.query.clone(),
        lock_name: None,
        since: None,
        held_for: None,
        kept_for: None,
    }
}
