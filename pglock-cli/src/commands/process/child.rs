//! The command that runs under the lock, as the leader of a process group.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use rustix::process::{Pid, Signal};
use tokio::process::Command;

use crate::failure::Failure;

/// How the command ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended(ExitStatus);

impl Ended {
    /// As a shell says it: its own code, or 128 and the signal.
    pub(crate) fn code(self) -> u8 {
        let code = self
            .0
            .code()
            .or_else(|| self.0.signal().map(|signal| 128 + signal));
        code.and_then(|code| u8::try_from(code).ok())
            .unwrap_or(u8::MAX)
    }
}

pub(crate) struct Child {
    process: tokio::process::Child,
    group: Pid,
    /// Whether the terminal was given to it.
    has_terminal: bool,
}

impl Child {
    /// Runs the command in a group of its own, so that what it starts can be ended with it. It ends with this process: see
    /// [`exec`](super::exec).
    pub(crate) fn spawn(
        command: &[OsString],
        environment: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::new(format!("cannot start the command: {error}"));
        let this = std::env::current_exe().map_err(failed)?;
        let mut exec = Command::new(this);
        exec.arg("__exec")
            .arg(std::process::id().to_string())
            .arg("--")
            .args(command);
        exec.envs(environment).process_group(0);
        let process = exec.spawn().map_err(failed)?;
        let id = process.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let group =
            id.ok_or_else(|| Failure::new("cannot start the command: it has no process id"))?;
        Ok(Self {
            process,
            group,
            has_terminal: give_terminal_to(group),
        })
    }

    pub(crate) async fn wait(&mut self) -> Result<Ended, Failure> {
        let status = self.process.wait().await;
        status
            .map(Ended)
            .map_err(|error| Failure::new(format!("cannot wait for the command: {error}")))
    }

    /// To all processes of its group.
    pub(crate) fn signal(&self, signal: Signal) {
        // It may have ended just now.
        let _ = rustix::process::kill_process_group(self.group, signal);
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.has_terminal {
            give_terminal_to(rustix::process::getpgrp());
        }
    }
}

/// Makes the group the one that a terminal's keys reach. Only where this process is in that group now: in the background
/// it has no right to.
fn give_terminal_to(group: Pid) -> bool {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return false;
    }
    rustix::termios::tcsetpgrp(&stdin, group).is_ok()
}
