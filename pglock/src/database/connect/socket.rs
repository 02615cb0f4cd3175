//! The socket of a session. pglock's thread waits for it together with all others; a caller's thread that has borrowed the
//! session waits for it alone, by reading.
//!
//! Between two loans it stays as the borrower had it, so that pglock's thread is not woken by answers that are not for it.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The stream under the driver.
pub(super) struct Socket(Arc<Mutex<SocketState>>);

/// Chooses who waits for a [`Socket`]. To be used by one who drives the connection, and no other does at the time.
pub(crate) struct SocketSwitch(Arc<Mutex<SocketState>>);

enum SocketState {
    /// The runtime of pglock's thread waits for it.
    Registered(RuntimeSocket),
    /// Reading and writing block for a moment.
    Lent {
        socket: BlockingSocket,
        /// Whether the driver may read. It reads until there is nothing more, and would wait for what doesn't come.
        may_read: bool,
    },
    /// It could not be switched.
    Broken,
}

pub(super) enum RuntimeSocket {
    Tcp(tokio::net::TcpStream),
    #[cfg(unix)]
    Unix(tokio::net::UnixStream),
}

enum BlockingSocket {
    Tcp(std::net::TcpStream),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixStream),
}

fn lock(state: &Mutex<SocketState>) -> MutexGuard<'_, SocketState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn broken() -> io::Error {
    io::Error::new(
        io::ErrorKind::NotConnected,
        "the socket could not be handed on between threads",
    )
}

impl Socket {
    pub(super) fn new(socket: RuntimeSocket) -> (Self, SocketSwitch) {
        let state = Arc::new(Mutex::new(SocketState::Registered(socket)));
        (Self(Arc::clone(&state)), SocketSwitch(state))
    }
}

impl SocketSwitch {
    /// Lends the socket to the thread that calls this, which then waits for `patience` at most when it reads or writes. Says
    /// whether it was pglock's thread that had it before.
    pub(crate) fn lend(&self, patience: Duration) -> io::Result<bool> {
        self.change(|state| match state {
            SocketState::Registered(socket) => {
                let lent = SocketState::Lent {
                    socket: socket.into_blocking(patience)?,
                    may_read: false,
                };
                Ok((lent, true))
            }
            SocketState::Lent { socket, .. } => {
                let lent = SocketState::Lent {
                    socket,
                    may_read: false,
                };
                Ok((lent, false))
            }
            SocketState::Broken => Err(broken()),
        })
    }

    /// Lets the driver read once.
    pub(crate) fn allow_read(&self) {
        if let SocketState::Lent { may_read, .. } = &mut *lock(&self.0) {
            *may_read = true;
        }
    }

    /// Has the runtime of this thread wait for the socket again. Says whether it was lent.
    pub(crate) fn take_back(&self) -> io::Result<bool> {
        self.change(|state| match state {
            SocketState::Lent { socket, .. } => {
                Ok((SocketState::Registered(socket.into_runtime()?), true))
            }
            SocketState::Registered(socket) => Ok((SocketState::Registered(socket), false)),
            SocketState::Broken => Err(broken()),
        })
    }

    fn change(
        &self,
        change: impl FnOnce(SocketState) -> io::Result<(SocketState, bool)>,
    ) -> io::Result<bool> {
        let mut state = lock(&self.0);
        let (new, answer) = change(std::mem::replace(&mut *state, SocketState::Broken))?;
        *state = new;
        Ok(answer)
    }
}

impl RuntimeSocket {
    fn into_blocking(self, patience: Duration) -> io::Result<BlockingSocket> {
        let patience = Some(patience);
        Ok(match self {
            Self::Tcp(socket) => {
                let socket = socket.into_std()?;
                socket.set_nonblocking(false)?;
                socket.set_read_timeout(patience)?;
                socket.set_write_timeout(patience)?;
                BlockingSocket::Tcp(socket)
            }
            #[cfg(unix)]
            Self::Unix(socket) => {
                let socket = socket.into_std()?;
                socket.set_nonblocking(false)?;
                socket.set_read_timeout(patience)?;
                socket.set_write_timeout(patience)?;
                BlockingSocket::Unix(socket)
            }
        })
    }
}

impl BlockingSocket {
    fn into_runtime(self) -> io::Result<RuntimeSocket> {
        Ok(match self {
            Self::Tcp(socket) => {
                socket.set_nonblocking(true)?;
                RuntimeSocket::Tcp(tokio::net::TcpStream::from_std(socket)?)
            }
            #[cfg(unix)]
            Self::Unix(socket) => {
                socket.set_nonblocking(true)?;
                RuntimeSocket::Unix(tokio::net::UnixStream::from_std(socket)?)
            }
        })
    }

    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.read(bytes),
            #[cfg(unix)]
            Self::Unix(socket) => socket.read(bytes),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.write(bytes),
            #[cfg(unix)]
            Self::Unix(socket) => socket.write(bytes),
        }
    }

    fn shut_down(&self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.shutdown(Shutdown::Write),
            #[cfg(unix)]
            Self::Unix(socket) => socket.shutdown(Shutdown::Write),
        }
    }
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
fn poll_close(
    socket: &mut (impl AsyncRead + AsyncWrite + Unpin),
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    let mut socket = Pin::new(socket);
    ready!(socket.as_mut().poll_shutdown(cx))?;
    loop {
        let mut bytes = [0; 256];
        let mut buffer = ReadBuf::new(&mut bytes);
        ready!(socket.as_mut().poll_read(cx, &mut buffer))?;
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
        match &mut *lock(&self.0) {
            SocketState::Registered(RuntimeSocket::Tcp(socket)) => {
                Pin::new(socket).poll_read(cx, buffer)
            }
            #[cfg(unix)]
            SocketState::Registered(RuntimeSocket::Unix(socket)) => {
                Pin::new(socket).poll_read(cx, buffer)
            }
            SocketState::Lent { socket, may_read } => {
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
        match &mut *lock(&self.0) {
            SocketState::Registered(RuntimeSocket::Tcp(socket)) => {
                Pin::new(socket).poll_write(cx, bytes)
            }
            #[cfg(unix)]
            SocketState::Registered(RuntimeSocket::Unix(socket)) => {
                Pin::new(socket).poll_write(cx, bytes)
            }
            SocketState::Lent { socket, .. } => in_time(socket.write(bytes)),
            SocketState::Broken => Poll::Ready(Err(broken())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Sockets have no buffer of their own.
        Poll::Ready(Ok(()))
    }

    /// Waits until the server has closed its side, if pglock's thread has the socket: the session is over in the server then.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *lock(&self.0) {
            SocketState::Registered(RuntimeSocket::Tcp(socket)) => poll_close(socket, cx),
            #[cfg(unix)]
            SocketState::Registered(RuntimeSocket::Unix(socket)) => poll_close(socket, cx),
            SocketState::Lent { socket, .. } => Poll::Ready(socket.shut_down()),
            SocketState::Broken => Poll::Ready(Err(broken())),
        }
    }
}
