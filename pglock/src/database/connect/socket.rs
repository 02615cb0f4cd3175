//! The socket of a session. pglock's thread waits for it together with all others; a caller's thread that has borrowed the
//! session waits for it alone, by reading.
//!
//! Between two loans it stays as the borrower had it, so that pglock's thread is not woken by answers that are not for it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::registered::Registered;
use super::std_socket::StdSocket;
use crate::background::{self, Inherited};

/// The stream under the driver.
pub(super) struct Socket(Arc<SharedSocket>);

/// Chooses who waits for a [`Socket`]. To be used by one who drives the connection, and no other does at the time.
pub(crate) struct SocketSwitch(Arc<SharedSocket>);

struct SharedSocket(Mutex<SocketState>);

enum SocketState {
    /// The runtime of pglock's thread waits for it.
    Registered(Registered),
    Lent {
        socket: StdSocket,
        /// For how long reading and writing may sleep.
        sleeps_for: Option<Duration>,
        /// Whether the driver may read. It reads until there is nothing more, and would wait for what doesn't come.
        may_read: bool,
    },
    /// It could not be switched.
    Broken,
}

impl SharedSocket {
    fn lock(&self) -> MutexGuard<'_, SocketState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn broken() -> io::Error {
    io::Error::new(
        io::ErrorKind::NotConnected,
        "the socket could not be handed on between threads",
    )
}

impl Socket {
    pub(super) fn new(socket: StdSocket) -> io::Result<(Self, SocketSwitch)> {
        let state = SocketState::Registered(Registered::new(socket)?);
        let shared = Arc::new(SharedSocket(Mutex::new(state)));
        background::note_inherited(&shared);
        Ok((Self(Arc::clone(&shared)), SocketSwitch(shared)))
    }
}

impl Inherited for SharedSocket {
    fn close_copy(&self) {
        let state = match self.0.try_lock() {
            Ok(mut state) => std::mem::replace(&mut *state, SocketState::Broken),
            Err(_) => return,
        };
        match state {
            SocketState::Registered(socket) => socket.close_copy(),
            // Dropping it closes it.
            SocketState::Lent { .. } | SocketState::Broken => {}
        }
    }
}

impl SocketSwitch {
    /// Lends the socket to the thread that calls this. Says whether it was pglock's thread that had it before.
    pub(crate) fn lend(&self) -> io::Result<bool> {
        self.change(|state| {
            let (socket, sleeps_for, was_registered) = match state {
                // There it never sleeps.
                SocketState::Registered(socket) => (socket.into_std()?, None, true),
                SocketState::Lent {
                    socket, sleeps_for, ..
                } => (socket, sleeps_for, false),
                SocketState::Broken => return Err(broken()),
            };
            let lent = SocketState::Lent {
                socket,
                sleeps_for,
                may_read: false,
            };
            Ok((lent, was_registered))
        })
    }

    /// Has reading and writing sleep for as long while the socket is lent; without a time, not at all.
    pub(crate) fn sleep(&self, time: Option<Duration>) -> io::Result<()> {
        match &mut *self.0.lock() {
            SocketState::Lent {
                socket, sleeps_for, ..
            } => {
                if *sleeps_for != time {
                    socket.set_patience(time)?;
                    *sleeps_for = time;
                }
                Ok(())
            }
            SocketState::Registered(_) | SocketState::Broken => Err(broken()),
        }
    }

    /// Lets the driver read once.
    pub(crate) fn allow_read(&self) {
        if let SocketState::Lent { may_read, .. } = &mut *self.0.lock() {
            *may_read = true;
        }
    }

    /// Has the runtime of this thread wait for the socket again. Says whether it was lent.
    pub(crate) fn take_back(&self) -> io::Result<bool> {
        self.change(|state| match state {
            SocketState::Lent { socket, .. } => {
                Ok((SocketState::Registered(Registered::new(socket)?), true))
            }
            SocketState::Registered(socket) => Ok((SocketState::Registered(socket), false)),
            SocketState::Broken => Err(broken()),
        })
    }

    fn change(
        &self,
        change: impl FnOnce(SocketState) -> io::Result<(SocketState, bool)>,
    ) -> io::Result<bool> {
        let mut state = self.0.lock();
        let (new, answer) = change(std::mem::replace(&mut *state, SocketState::Broken))?;
        *state = new;
        Ok(answer)
    }
}

/// Whether the server has closed its side, as it is told who writes. What it said last is still to be read, and then the end
/// of the stream: that tells why, and a broken pipe would not, nor a reset, which whoever comes first is told, once.
fn server_has_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

/// Nobody is woken for what is pending: the borrower tries again, or hands the session back.
fn in_time<T>(done: io::Result<T>) -> Poll<io::Result<T>> {
    match done {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
            ) =>
        {
            Poll::Pending
        }
        done => Poll::Ready(done),
    }
}

/// Closes this side, and waits until the other has closed its own.
fn poll_close(socket: &mut Registered, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    socket.shut_down()?;
    loop {
        let mut bytes = [0; 256];
        let mut buffer = ReadBuf::new(&mut bytes);
        ready!(socket.poll_read(cx, &mut buffer))?;
        if buffer.filled().is_empty() {
            return Poll::Ready(Ok(()));
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self.0.lock() {
            SocketState::Registered(socket) => socket.poll_read(cx, buffer),
            SocketState::Lent {
                socket, may_read, ..
            } => {
                if !std::mem::take(may_read) {
                    return Poll::Pending;
                }
                let read = in_time(socket.read(buffer.initialize_unfilled()));
                read.map_ok(|count| buffer.advance(count))
            }
            SocketState::Broken => Poll::Ready(Err(broken())),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self.0.lock() {
            SocketState::Registered(socket) => match socket.poll_write(cx, bytes) {
                Poll::Ready(Err(error)) if server_has_closed(&error) => {
                    Poll::Ready(Ok(bytes.len()))
                }
                written => written,
            },
            SocketState::Lent { socket, .. } => match socket.write(bytes) {
                Err(error) if server_has_closed(&error) => Poll::Ready(Ok(bytes.len())),
                written => in_time(written),
            },
            SocketState::Broken => Poll::Ready(Err(broken())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Sockets have no buffer of their own.
        Poll::Ready(Ok(()))
    }

    /// Waits until the server has closed its side, if pglock's thread has the socket: the session is over in the server then.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self.0.lock() {
            SocketState::Registered(socket) => poll_close(socket, cx),
            SocketState::Lent { socket, .. } => Poll::Ready(socket.shut_down()),
            SocketState::Broken => Poll::Ready(Err(broken())),
        }
    }
}
