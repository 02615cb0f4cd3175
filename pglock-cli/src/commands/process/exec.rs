//! What `run` and `guard` start: it becomes the command, and the kernel ends it when they are gone.
//!
//! If `pglock` is killed, its session ends and the lock is free. The command must not go on without it.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use rustix::process::{Pid, Signal};

use crate::args::ExecArgs;
use crate::failure::Failure;

/// The exit codes of a shell for a command that does not exist, and for one that cannot be executed.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;

pub(crate) fn run(args: &ExecArgs) -> Result<ExitCode, Failure> {
    end_with_parent();
    // It may have been gone before that.
    if rustix::process::getppid().map(Pid::as_raw_pid) != Some(args.parent) {
        return Err(Failure::new("`pglock` is gone"));
    }
    let (command, arguments) = args
        .command
        .split_first()
        .ok_or_else(|| Failure::new("a command is missing"))?;
    let error = Command::new(command).args(arguments).exec();
    let code = if error.kind() == io::ErrorKind::NotFound {
        NOT_FOUND
    } else {
        NOT_EXECUTABLE
    };
    let why = match code {
        NOT_FOUND => "the command does not exist".to_owned(),
        _ => error.to_string(),
    };
    Err(Failure::new(format!("cannot run {}: {why}", command.display())).with_code(code))
}

/// Outlives `exec`, unless the command is set-user-ID.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn end_with_parent() {
    // Where the kernel refuses, the command runs as it would without.
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::TERM));
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn end_with_parent() {}
