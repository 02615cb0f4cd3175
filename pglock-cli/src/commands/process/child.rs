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
        environment: impl IntoIterator<Item = (&'static str, Option<String>)>,
    ) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::new(format!("cannot start the command: {error}"));
        let this = std::env::current_exe().map_err(failed)?;
        let has_group = !is_on_terminal();
        let mut exec = Command::new(this);
        exec.arg("__exec").arg(std::process::id().to_string());
        exec.arg("--").args(command);
        for (variable, value) in environment {
            match value {
                Some(value) => exec.env(variable, value),
                // That of a command around this one.
                None => exec.env_remove(variable),
            };
        }
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
        self.has_group && test_kill_process_group(self.pid).is_ok() && has_living(self.pid)
    }
}

/// Whether one of the group still runs. A signal reaches those, too, that have ended and that nobody has waited for, as in a
/// container whose first process does not.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn has_living(group: Pid) -> bool {
    let stat = |process: io::Result<std::fs::DirEntry>| {
        let process = process.ok()?;
        let _is_process: i32 = process.file_name().to_str()?.parse().ok()?;
        std::fs::read(process.path().join("stat")).ok()
    };
    let is_mounted = std::fs::exists("/proc/self/stat").unwrap_or(false);
    match std::fs::read_dir("/proc") {
        Ok(mut processes) if is_mounted => processes.any(|process| {
            stat(process).is_some_and(|stat| lives_in(&String::from_utf8_lossy(&stat), group))
        }),
        _ => true,
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn has_living(_group: Pid) -> bool {
    true
}

// Input:  4711 (a (command)) S 1 4700 4700 ..
// Output: whether its state, S, is that of the living, and its group, 4700, that one
#[cfg(any(target_os = "linux", target_os = "android"))]
fn lives_in(stat: &str, group: Pid) -> bool {
    let Some((_, rest)) = stat.rsplit_once(')') else {
        return false;
    };
    let mut words = rest.split_whitespace();
    let (state, of) = (words.next(), words.nth(1));
    let has_ended = matches!(state, None | Some("Z" | "X"));
    !has_ended && of.and_then(|of| of.parse().ok()) == Some(group.as_raw_pid())
}

/// Whether the keys of the terminal reach this process.
fn is_on_terminal() -> bool {
    let stdin = io::stdin();
    let in_front = stdin.is_terminal().then(|| tcgetpgrp(&stdin));
    matches!(in_front, Some(Ok(group)) if group == getpgrp())
}
