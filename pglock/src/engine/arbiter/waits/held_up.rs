//! Statements of others that wait until ours end: `CREATE INDEX CONCURRENTLY` and its like.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::active::ActiveWait;
use crate::engine::arbiter::Arbiter;

/// How often it is looked, and how old a wait is that is looked at.
const LOOK: Duration = Duration::from_secs(1);

impl Arbiter {
    /// Looks from now on, for as long as waits last, whether others wait until their statements end.
    pub(super) fn watch_for_held_up(self: &Rc<Self>) {
        if self.watches_for_held_up.replace(true) {
            return;
        }
        let arbiter = Rc::clone(self);
        tokio::task::spawn_local(async move {
            loop {
                tokio::time::sleep(LOOK).await;
                let waits = arbiter.lasting_waits();
                if waits.is_empty() {
                    break;
                }
                let pids: Vec<i32> = waits.iter().map(|(pid, _)| *pid).collect();
                for pid in arbiter.pool.held_up_by(&pids).await {
                    let mut waits = waits.iter();
                    if let Some((_, active)) = waits.find(|(waits, _)| *waits == pid) {
                        active.anew.notify_one();
                    }
                }
            }
            arbiter.watches_for_held_up.set(false);
        });
    }

    fn lasting_waits(&self) -> Vec<(i32, Rc<ActiveWait>)> {
        let now = Instant::now();
        let book = self.book.borrow();
        let lasting = book.waits.values().filter_map(|active| {
            let (pid, since) = active.statement.get()?;
            (now.saturating_duration_since(since) >= LOOK / 2).then(|| (pid, Rc::clone(active)))
        });
        lasting.collect()
    }
}
