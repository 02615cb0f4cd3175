//! A terminal that the command runs on: what is on its screen, and what is typed.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use pglock_tests::{BOUND, TestDb, wait_until};
use pty_process::Size;
use pty_process::blocking::{Command, open};
use rustix::event::{self, PollFd, PollFlags};
use rustix::process::{Pid, Signal};
use rustix::termios;

/// What the screen is given back with.
const LEFT: &str = "\u{1b}[?1049l\u{1b}[?25h";

pub(crate) struct Terminal {
    child: Child,
    pty: Option<File>,
    seen: Arc<Mutex<Seen>>,
    modes: String,
    /// What reads the output, and how it is stopped.
    reader: Option<(JoinHandle<()>, Arc<AtomicBool>)>,
}

struct Seen {
    screen: vt100::Parser,
    bytes: Vec<u8>,
}

/// `pglock` with these arguments, on that database, in a folder without a `pglock.toml`.
pub(crate) fn pglock(db: &TestDb, arguments: &[&str]) -> Command {
    with_url(db.url(), arguments)
}

pub(crate) fn with_url(url: &str, arguments: &[&str]) -> Command {
    program(env!("CARGO_BIN_EXE_pglock"), url).args(arguments)
}

/// A shell that has job control, and runs the script with `$PGLOCK`.
pub(crate) fn shell(db: &TestDb, script: &str) -> Command {
    let shell = program("sh", db.url()).args(["-m", "-c", script]);
    shell.env("PGLOCK", env!("CARGO_BIN_EXE_pglock"))
}

fn program(program: &str, url: &str) -> Command {
    // What a shell starts in the background ignores Ctrl-C, tests too, and what they start; a terminal's programs don't.
    let mut command = if cfg!(target_os = "linux") {
        Command::new("env").args(["--default-signal=INT,QUIT", program])
    } else {
        Command::new(program)
    };
    for variable in super::VARIABLES {
        command = command.env_remove(variable);
    }
    command
        .env("DATABASE_URL", url)
        .env("TERM", "xterm-256color")
        // Of a build for tests it takes long to write.
        .env("RUST_BACKTRACE", "0")
        .current_dir("/")
}

impl Terminal {
    /// Of 110 columns and 30 lines.
    pub(crate) fn run(command: Command) -> Self {
        Self::sized(command, 30, 110)
    }

    pub(crate) fn sized(command: Command, lines: u16, columns: u16) -> Self {
        let (pty, pts) = open().expect("cannot open a terminal");
        pty.resize(Size::new(lines, columns)).unwrap();
        let modes = modes(&pty);
        let child = command.spawn(pts).expect("cannot start it");
        let size = |number| NonZeroU16::new(number).unwrap();
        let seen = Arc::new(Mutex::new(Seen {
            screen: vt100::Parser::new(size(lines), size(columns), 0),
            bytes: Vec::new(),
        }));
        let pty = File::from(OwnedFd::from(pty));
        let output = pty.try_clone().unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let reader = {
            let (seen, is_over) = (Arc::clone(&seen), Arc::clone(&is_over));
            std::thread::spawn(move || read(output, &seen, &is_over))
        };
        Self {
            child,
            pty: Some(pty),
            seen,
            modes,
            reader: Some((reader, is_over)),
        }
    }

    /// `pglock watch` with these options.
    pub(crate) fn watch(db: &TestDb, options: &[&str]) -> Self {
        Self::run(pglock(db, &[&["watch", "-n", "0.5"], options].concat()))
    }

    /// What is on the screen, line by line.
    pub(crate) fn screen(&self) -> String {
        self.seen.lock().unwrap().screen.screen().contents()
    }

    /// What is on the screen, cell by cell.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&vt100::Screen) -> T) -> T {
        look(self.seen.lock().unwrap().screen.screen())
    }

    /// All that was written.
    pub(crate) fn written(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap().bytes).into_owned()
    }

    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str) {
        self.wait_until(text, |screen| screen.contains(text));
    }

    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, so: impl Fn(&str) -> bool) {
        let is_so = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_until(what, BOUND, || so(&self.screen()));
        }));
        assert!(
            is_so.is_ok(),
            "not on the screen: {what}\n{}",
            self.screen()
        );
    }

    pub(crate) fn type_keys(&mut self, keys: &str) {
        let pty = self.pty.as_mut().expect("it was hung up");
        pty.write_all(keys.as_bytes()).unwrap();
    }

    pub(crate) fn resize(&mut self, lines: u16, columns: u16) {
        let size = |number| NonZeroU16::new(number).unwrap();
        let mut seen = self.seen.lock().unwrap();
        seen.screen.set_size(size(lines), size(columns));
        let size = termios::Winsize {
            ws_row: lines,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        termios::tcsetwinsize(self.pty.as_ref().unwrap(), size).unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// The terminal is closed, as by its window.
    pub(crate) fn hang_up(&mut self) {
        self.pty = None;
        if let Some((reader, is_over)) = self.reader.take() {
            is_over.store(true, Ordering::SeqCst);
            reader.join().unwrap();
        }
    }

    #[track_caller]
    pub(crate) fn wait_for_end(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("it ends", BOUND, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Ends, and all that it has written is on the screen.
    #[track_caller]
    pub(crate) fn wait_for_all(&mut self) {
        self.wait_for_end();
        let (reader, _) = self.reader.as_ref().expect("it was hung up");
        wait_until("its output is read", BOUND, || reader.is_finished());
    }

    /// Ends with that code, and leaves the terminal as it was before.
    #[track_caller]
    pub(crate) fn ends_cleanly(mut self, code: i32) {
        let status = self.wait_for_end();
        self.is_as_before();
        assert_eq!(status.code(), Some(code), "{}", self.screen());
    }

    /// The other screen is left, the cursor is there, and so are the modes.
    #[track_caller]
    pub(crate) fn is_as_before(&self) {
        // What was written last may still be on its way.
        wait_until("the screen was left", BOUND, || {
            let seen = self.seen.lock().unwrap();
            let screen = seen.screen.screen();
            !screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste()
        });
        let written = self.written();
        let drawn = written.rfind("\u{1b}[?1049h");
        let left = written.rfind(LEFT);
        assert!(drawn.is_some() && left > drawn, "{written:?}");
        let behind = &written[left.unwrap() + LEFT.len()..];
        assert!(
            !behind.contains("\u{1b}["),
            "drawn upon after it was left: {behind:?}"
        );
        assert_eq!(modes(self.pty.as_ref().unwrap()), self.modes);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Until the other side is closed, or nobody wants it any more.
fn read(mut output: File, seen: &Mutex<Seen>, is_over: &AtomicBool) {
    let pause = Duration::from_millis(20).try_into().unwrap();
    let mut bytes = [0; 4096];
    while !is_over.load(Ordering::SeqCst) {
        let mut readable = [PollFd::new(&output, PollFlags::IN)];
        if event::poll(&mut readable, Some(&pause)).is_ok_and(|ready| ready == 0) {
            continue;
        }
        let Ok(read) = output.read(&mut bytes) else {
            return;
        };
        let mut seen = seen.lock().unwrap();
        seen.screen.process(&bytes[..read]);
        seen.bytes.extend(&bytes[..read]);
    }
}

/// What `stty` shows of it.
fn modes(terminal: &impl std::os::fd::AsFd) -> String {
    format!("{:?}", termios::tcgetattr(terminal).unwrap())
}
