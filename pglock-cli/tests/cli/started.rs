//! A process that the test has started, and what it says.

use std::process::{Child, Command, Output};
use std::time::Duration;

use pglock_tests::wait_until;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;

use super::Said;

/// Writes into files, not pipes: what it leaves behind would keep a pipe open, and who reads to its end would hang.
pub(crate) struct Started {
    process: Child,
    out: NamedTempFile,
    err: NamedTempFile,
}

impl Started {
    pub(crate) fn start(command: &mut Command) -> Self {
        let file = || NamedTempFile::new().expect("cannot create a file");
        let (out, err) = (file(), file());
        let to = |file: &NamedTempFile| file.reopen().expect("cannot open the file");
        let process = command.stdout(to(&out)).stderr(to(&err)).spawn();
        Self {
            process: process.expect("cannot start it"),
            out,
            err,
        }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.process.id().cast_signed()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.pid()).unwrap(), signal).unwrap();
    }

    /// What it has written so far.
    pub(crate) fn out(&self) -> String {
        read(&self.out)
    }

    pub(crate) fn err(&self) -> String {
        read(&self.err)
    }

    /// Waits until it has ended.
    #[track_caller]
    pub(crate) fn end(&mut self, bound: Duration) -> Said {
        let mut status = None;
        wait_until("it ends", bound, || {
            status = self.process.try_wait().unwrap();
            status.is_some()
        });
        Said::of(Output {
            status: status.unwrap(),
            stdout: self.out().into_bytes(),
            stderr: self.err().into_bytes(),
        })
    }
}

impl Drop for Started {
    /// A test that fails leaves nothing running.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn read(file: &NamedTempFile) -> String {
    std::fs::read_to_string(file.path()).unwrap()
}
