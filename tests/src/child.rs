//! Other processes, for tests of what happens between processes.
//!
//! A test starts its own binary again, told to run that one test in some role, and the two talk in
//! lines:
//!
//! ```text
//! #[test]
//! fn a_killed_holder_lets_the_next_one_in() {
//!     if child::role().as_deref() == Some("holder") {
//!         let mut client = postgres::Client::connect(&child::argument("URL"), NoTls).unwrap();
//!         client.execute("SELECT pg_advisory_lock(42)", &[]).unwrap();
//!         child::say("got");
//!         child::wait_for_end();
//!         return;
//!     }
//!     let db = pglock_tests::database();
//!     let mut holder = Child::of("a_killed_holder_lets_the_next_one_in", "holder")
//!         .argument("URL", db.url())
//!         .start();
//!     holder.wait_for_line("got", BOUND);
//!     holder.kill();
//!     db.wait_for_no_locks();
//! }
//! ```

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{self, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::process::send;
use crate::wait::wait_until;

/// The environment variable that tells a child its role.
const ROLE: &str = "PGLOCK_TEST_ROLE";
const ARGUMENT: &str = "PGLOCK_TEST_ARGUMENT_";
/// Before each line for the parent: the test runner prints to the same place.
const PREFIX: &str = "@@ ";

/// The role of this process, if it is a child.
#[must_use]
pub fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// In a child: what the parent passed as that argument.
#[must_use]
#[track_caller]
pub fn argument(name: &str) -> String {
    match std::env::var(format!("{ARGUMENT}{name}")) {
        Ok(value) => value,
        Err(error) => panic!("argument {name} of this child: {error}"),
    }
}

/// In a child: says a line to the parent.
pub fn say(line: &str) {
    // In one write, and not through `println!`, which the test runner may capture.
    let line = format!("{PREFIX}{line}\n");
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(line.as_bytes())
        .and_then(|()| stdout.flush())
        .expect("the parent is gone");
}

/// In a child: the next line from the parent, or `None` when it sends no more, or is gone.
#[must_use]
pub fn hear() -> Option<String> {
    let mut line = String::new();
    match std::io::stdin().read_line(&mut line) {
        Ok(1..) => Some(line.trim_end().to_owned()),
        Ok(0) | Err(_) => None,
    }
}

/// In a child: stays until the parent ends it, or is gone.
pub fn wait_for_end() {
    while hear().is_some() {}
}

/// Another process that runs a test of this binary in some role: killed when dropped.
#[derive(Debug)]
pub struct Child {
    process: process::Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    /// All that it has printed, for messages.
    printed: Vec<String>,
}

/// A [`Child`] to be.
#[derive(Debug)]
#[must_use = "start() starts it"]
pub struct Builder {
    command: Command,
    test: String,
    clock: Option<String>,
}

impl Builder {
    /// Passes an argument, that the child gets by [`argument`].
    pub fn argument(mut self, name: &str, value: impl AsRef<OsStr>) -> Builder {
        self.command.env(format!("{ARGUMENT}{name}"), value);
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Builder {
        self.command.env(name, value);
        self
    }

    /// Leaves an environment variable out that this process has.
    pub fn env_remove(mut self, name: &str) -> Builder {
        self.command.env_remove(name);
        self
    }

    /// Starts it in that folder.
    pub fn current_dir(mut self, folder: impl AsRef<Path>) -> Builder {
        self.command.current_dir(folder);
        self
    }

    /// Starts it with a clock that is off by so much, as `-1h` or `+30m`: as on a host of that clock. Times that only run, as
    /// those of an `Instant`, are as they are. It needs the program `faketime`.
    pub fn clock(mut self, off_by: &str) -> Builder {
        self.clock = Some(off_by.to_owned());
        self
    }

    /// Starts it.
    #[must_use]
    pub fn start(self) -> Child {
        let (program, mut command) = match &self.clock {
            Some(off_by) => ("faketime", with_clock(&self.command, off_by)),
            None => ("it", self.command),
        };
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = match command.spawn() {
            Ok(process) => process,
            Err(error) => panic!("can't start {program} to run {} again: {error}", self.test),
        };
        let stdout = BufReader::new(process.stdout.take().expect("stdout is piped"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                // To be read or not: the pipe must not fill up.
                let _ = sender.send(line);
            }
        });
        Child {
            stdin: process.stdin.take(),
            process,
            lines,
            printed: Vec::new(),
        }
    }
}

/// The same command, by way of `faketime`, which it takes the place of.
fn with_clock(command: &Command, off_by: &str) -> Command {
    let mut wrapped = Command::new("faketime");
    wrapped.args(["--exclude-monotonic", "-f", off_by]);
    wrapped.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        wrapped.current_dir(folder);
    }
    wrapped
}

impl Child {
    /// A child that runs the test of that name (with its modules: `module::test`) in that role.
    pub fn of(test: &str, role: &str) -> Builder {
        let mut command = Command::new(std::env::current_exe().expect("the path of this binary"));
        command
            .args([test, "--exact", "--nocapture"])
            .env(ROLE, role);
        Builder {
            command,
            test: test.to_owned(),
            clock: None,
        }
    }

    /// Its process ID.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until it says a line that starts with that word, and returns the rest of that line.
    /// Other lines before that one are passed over.
    #[track_caller]
    pub fn wait_for_line(&mut self, word: &str, bound: Duration) -> String {
        let deadline = Instant::now() + bound;
        loop {
            let Ok(line) = self
                .lines
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            else {
                let ended = self.process.try_wait();
                panic!(
                    "the child did not say {word:?} within {bound:?} ({ended:?}), but {:#?}",
                    self.printed
                );
            };
            // The test runner may have left "test name ... " before it.
            let said = line.split_once(PREFIX).map(|(_, said)| said.to_owned());
            self.printed.push(line);
            if let Some(said) = said {
                let (first, rest) = said.split_once(' ').unwrap_or((&said, ""));
                if first == word {
                    return rest.to_owned();
                }
            }
        }
    }

    /// Sends it a line, which it gets by [`hear`].
    #[track_caller]
    pub fn send_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("it was told to end");
        writeln!(stdin, "{line}").expect("the child is gone");
    }

    /// Tells it that no more lines will come, and waits until its test has passed.
    #[track_caller]
    pub fn finish(&mut self, bound: Duration) {
        self.stdin = None;
        let status = self.wait(bound);
        assert!(status.success(), "the child failed ({status})");
    }

    /// Waits until it has ended.
    #[track_caller]
    pub fn wait(&mut self, bound: Duration) -> ExitStatus {
        let mut status = None;
        wait_until("the child has ended", bound, || {
            status = self.process.try_wait().expect("it is our child");
            status.is_some()
        });
        status.expect("it has ended")
    }

    /// Kills it with SIGKILL: it runs no more code. Returns when it is dead.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Stops it where it is, without ending it (SIGSTOP).
    pub fn freeze(&self) {
        send(self.id(), Signal::STOP);
    }

    /// Lets it go on after [`freeze`](Child::freeze).
    pub fn thaw(&self) {
        send(self.id(), Signal::CONT);
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}
