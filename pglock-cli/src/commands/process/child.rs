//! The command that runs under the lock.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use rustix::process::{
    Pid, Signal, getpgrp, kill_process, kill_process_group, test_kill_process_group,
};
use rustix::termios::tcgetpgrp;
use tokio::process::Command;

use crate::commands::signals;
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
    pid: Pid,
    /// Whether it leads a group of its own.
    has_group: bool,
}

impl Child {
    /// Runs the command in a group of its own, so that what it starts can be ended with it. Not on a terminal that this process
    /// has: there the keys reach the whole group, and all of it stops and goes on together. It ends with this process: see
    /// [`exec`](super::exec).
    pub(crate) fn spawn(
        command: &[OsString],
        environment: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::new(format!("cannot start the command: {error}"));
        let this = std::env::current_exe().map_err(failed)?;
        let has_group = !is_on_terminal();
        let mut exec = Command::new(this);
        exec.arg("__exec").arg(std::process::id().to_string());
        exec.arg("--").args(command).envs(environment);
        if has_group {
            exec.process_group(0);
        }
        let process = exec.spawn().map_err(failed)?;
        let id = process.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let no_id = || Failure::new("cannot start the command: it has no process id");
        Ok(Self {
            process,
            pid: id.ok_or_else(no_id)?,
            has_group,
        })
    }

    pub(crate) async fn wait(&mut self) -> Result<Ended, Failure> {
        let status = self.process.wait().await;
        status
            .map(Ended)
            .map_err(|error| Failure::new(format!("cannot wait for the command: {error}")))
    }

    /// Passes a signal on that this process got. What a terminal's keys send has reached the command by itself.
    pub(crate) fn pass_on(&self, signal: Signal) {
        if self.has_group || !signals::is_of_terminal(signal) {
            self.signal(signal);
        }
    }

    /// To all processes of its group, or to the command alone where it has none.
    pub(crate) fn signal(&self, signal: Signal) {
        // It may have ended just now.
        let _ = if self.has_group {
            kill_process_group(self.pid, signal)
        } else {
            kill_process(self.pid, signal)
        };
    }

    /// Whether others of its group are left when the command has ended.
    pub(crate) fn leaves_others(&self) -> bool {
        self.has_group && test_kill_process_group(self.pid).is_ok()
    }
}

/// Whether the keys of the terminal reach this process.
fn is_on_terminal() -> bool {
    let stdin = io::stdin();
    let in_front = stdin.is_terminal().then(|| tcgetpgrp(&stdin));
    matches!(in_front, Some(Ok(group)) if group == getpgrp())
}
