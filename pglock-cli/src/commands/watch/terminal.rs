//! The terminal while it is ours, and as it was before: on every way out.

use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write as _};
use std::mem::ManuallyDrop;
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use ratatui::Frame;
use ratatui::backend::CrosstermBackend;
use rustix::event::{self, PollFd, PollFlags};
use rustix::io::retry_on_intr;
use rustix::process::Signal;
use rustix::termios::{self, OptionalActions, Termios};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::input::{Key, Parser};
use crate::failure::Failure;

/// The other screen, and pastes that can be told from what is typed.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?2004h\x1b[?25l";
const LEAVE: &[u8] = b"\x1b[?2004l\x1b[?1049l\x1b[?25h";

/// More bytes than a picture has.
const PICTURE: usize = 256 * 1024;

/// How soon the rest of a sequence follows its beginning, if it is one and not the key Escape.
const FOLLOWS: Duration = Duration::from_millis(25);

/// Whether there is one that can be drawn on and typed at.
pub(super) fn is_there() -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    io::stdin().is_terminal() && io::stdout().is_terminal() && !is_dumb
}

pub(super) struct Terminal {
    /// Not dropped: where the terminal has gone, that would print an error, and panic over it.
    screen: ManuallyDrop<ratatui::Terminal<CrosstermBackend<BufWriter<Stdout>>>>,
    keys: Parser,
    typed: UnboundedReceiver<()>,
    /// Says that all of it was read.
    read: mpsc::Sender<()>,
    mode: Mode,
}

impl Terminal {
    pub(super) fn enter() -> Result<Self, Failure> {
        let wrong = |error: io::Error| Failure::new(format!("cannot use the terminal: {error}"));
        let mode = Mode::enter().map_err(wrong)?;
        // A picture in one piece: nobody sees half of it.
        let out = BufWriter::with_capacity(PICTURE, io::stdout());
        let screen = ratatui::Terminal::new(CrosstermBackend::new(out)).map_err(wrong)?;
        let (typed, read) = listen().map_err(wrong)?;
        Ok(Self {
            screen: ManuallyDrop::new(screen),
            keys: Parser::default(),
            typed,
            read,
            mode,
        })
    }

    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.screen.draw(draw).map(drop)
    }

    /// Draws all of it the next time, whatever is on the screen.
    pub(super) fn clear(&mut self) -> io::Result<()> {
        let size = self.screen.size()?;
        self.screen.resize(size.into())
    }

    /// Waits until something was typed. Then [`next_key`](Self::next_key) is to be called until there is none.
    pub(super) async fn typed(&mut self) {
        self.typed.recv().await;
    }

    /// The next key that was typed by now.
    pub(super) fn next_key(&mut self) -> io::Result<Option<Key>> {
        loop {
            if let Some(key) = self.keys.next() {
                return Ok(Some(key));
            }
            let wait = if self.keys.is_within() {
                FOLLOWS
            } else {
                Duration::ZERO
            };
            if !self.read(wait)? {
                self.keys.end();
                let key = self.keys.next();
                if key.is_none() {
                    // Where nobody listens any more, nothing is typed any more.
                    let _ = self.read.send(());
                }
                return Ok(key);
            }
        }
    }

    /// Throws away what was typed by now.
    pub(super) fn forget_keys(&mut self) -> io::Result<()> {
        while self.read(Duration::ZERO)? {}
        self.keys.forget();
        Ok(())
    }

    /// Reads what was typed by now, or comes so soon; nothing, where it did not. This never blocks for longer.
    fn read(&mut self, wait: Duration) -> io::Result<bool> {
        let wait = wait.try_into().map_err(io::Error::other)?;
        let stdin = io::stdin();
        let mut of_stdin = [PollFd::new(&stdin, PollFlags::IN)];
        if retry_on_intr(|| event::poll(&mut of_stdin, Some(&wait)))? == 0 {
            return Ok(false);
        }
        let mut bytes = [0; 1024];
        match retry_on_intr(|| rustix::io::read(&stdin, &mut bytes))? {
            // It says so when it was hung up.
            0 => Err(io::ErrorKind::BrokenPipe.into()),
            read => {
                self.keys.feed(&bytes[..read]);
                Ok(true)
            }
        }
    }

    /// Stops this process, as Ctrl-Z does elsewhere, and comes back with it.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        self.mode.leave();
        // Where nobody could let it go on, the kernel does not stop it.
        rustix::process::kill_current_process_group(Signal::TSTP)?;
        self.resume()
    }

    /// What has let us go on may have left the terminal in another mode.
    pub(super) fn resume(&mut self) -> io::Result<()> {
        self.mode.set()?;
        self.clear()
    }

    /// Puts the text on the clipboard of the terminal, if it lets us.
    pub(super) fn copy(text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        write!(out, "\x1b]52;c;{}\x07", base64(text.as_bytes()))?;
        out.flush()
    }
}

/// A thread that says when something was typed, and then waits until it was read: what is read, and when, is known
/// exactly by who reads it.
fn listen() -> io::Result<(UnboundedReceiver<()>, mpsc::Sender<()>)> {
    let (says, typed) = unbounded_channel();
    let (read, was_read) = mpsc::channel();
    let listen = move || {
        let stdin = io::stdin();
        loop {
            let mut of_stdin = [PollFd::new(&stdin, PollFlags::IN)];
            // What is wrong shows to who reads.
            let _ = retry_on_intr(|| event::poll(&mut of_stdin, None));
            if says.send(()).is_err() || was_read.recv().is_err() {
                return;
            }
        }
    };
    thread::Builder::new()
        .name("keys".to_owned())
        .spawn(listen)?;
    Ok((typed, read))
}

/// That the terminal is ours. Dropped, it is as before.
struct Mode {
    before: Termios,
    /// Shared with the panic hook: who comes first restores it, and nobody a second time.
    is_ours: Arc<AtomicBool>,
}

impl Mode {
    fn enter() -> io::Result<Self> {
        let mode = Self {
            before: termios::tcgetattr(io::stdin())?,
            is_ours: Arc::new(AtomicBool::new(false)),
        };
        mode.leave_on_panic();
        mode.set()?;
        Ok(mode)
    }

    fn set(&self) -> io::Result<()> {
        let mut raw = self.before.clone();
        raw.make_raw();
        // From here on, since half of it may be done when the other fails.
        self.is_ours.store(true, Ordering::SeqCst);
        termios::tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        let mut out = io::stdout().lock();
        out.write_all(ENTER)?;
        out.flush()
    }

    fn leave(&self) {
        leave(&self.before, &self.is_ours);
    }

    /// So that its message is read where it can be read. A panic of another thread does not end this one, which draws on.
    fn leave_on_panic(&self) {
        let (before, is_ours) = (self.before.clone(), Arc::clone(&self.is_ours));
        let draws = thread::current().id();
        let next = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if thread::current().id() == draws {
                leave(&before, &is_ours);
            }
            next(info);
        }));
    }
}

impl Drop for Mode {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Where it fails, the terminal is gone.
fn leave(before: &Termios, is_ours: &AtomicBool) {
    if is_ours.swap(false, Ordering::SeqCst) {
        let mut out = io::stdout().lock();
        let _ = out.write_all(LEAVE).and_then(|()| out.flush());
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, before);
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let mut padded = [0; 4];
        padded[1..=three.len()].copy_from_slice(three);
        let bits = u32::from_be_bytes(padded);
        for nth in 0..4 {
            let digit = usize::try_from(bits >> (18 - 6 * nth) & 63).unwrap_or(0);
            let is_padding = nth > three.len();
            text.push(if is_padding {
                '='
            } else {
                char::from(DIGITS[digit])
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By RFC 4648.
    #[test]
    fn what_is_copied_is_in_base64() {
        for (text, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(text.as_bytes()), encoded);
        }
    }
}
