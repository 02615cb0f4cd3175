//! How `run` makes an end to its command: TERM, and KILL after a time, or at the second signal that asks for an end.

use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;

use super::Child;
use crate::commands::signals::{self, Signals};

/// How often it is looked whether a group that is being ended has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

pub(crate) struct Ending {
    /// Never, where that is too far away for a clock.
    kill_at: Option<Instant>,
    is_killed: bool,
    /// Whether somebody has asked for the end meanwhile.
    is_urged: bool,
}

impl Ending {
    pub(crate) fn begin(child: &Child, grace: Duration) -> Self {
        let mut ending = Self {
            kill_at: Instant::now().checked_add(grace),
            is_killed: false,
            is_urged: false,
        };
        if grace.is_zero() {
            ending.kill(child);
        } else {
            child.signal(signals::TERM);
            // A stopped process ends by no other signal than KILL.
            child.signal(signals::CONT);
        }
        ending
    }

    pub(crate) fn kill(&mut self, child: &Child) {
        child.signal(signals::KILL);
        self.is_killed = true;
    }

    /// Until it is time to kill it; for ever once that was done.
    pub(crate) async fn until_kill(&self) {
        match self.kill_at {
            Some(at) if !self.is_killed => tokio::time::sleep_until(at).await,
            _ => std::future::pending().await,
        }
    }

    /// Passes the signal on. Who asks for the end a second time does not want to wait for it.
    pub(crate) fn hear(&mut self, child: &Child, signal: Signal) {
        if signals::asks_for_end(signal) && std::mem::replace(&mut self.is_urged, true) {
            self.kill(child);
        } else {
            child.pass_on(signal);
        }
    }

    /// Waits for what is left of the group, which is killed when the time is over.
    pub(crate) async fn of_others(mut self, child: &Child, signals: &mut Signals) {
        while !self.is_killed && child.leaves_others() {
            tokio::select! {
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                signal = signals.next() => self.hear(child, signal),
                () = self.until_kill() => self.kill(child),
            }
        }
    }
}
