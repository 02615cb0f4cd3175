//! A socket that the runtime of pglock's thread waits for.
//!
//! On Unix it is not one of tokio's own types. They tell the kernel's poller of their end before they close, and in a forked
//! child that poller is the parent's, which would not be woken for its own copy any more. This one can be closed without a
//! word.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;
use tokio::io::unix::{AsyncFd, AsyncFdReadyMutGuard};

use super::std_socket::StdSocket;

pub(super) struct Registered(AsyncFd<Slot>);

/// The socket, and its number for the poller, which stays when the socket is taken.
struct Slot {
    fd: RawFd,
    socket: Option<StdSocket>,
}

impl AsRawFd for Slot {
    fn as_raw_fd(&self) -> RawFd {
        self.fd
    }
}

impl Registered {
    pub(super) fn new(socket: StdSocket) -> io::Result<Self> {
        socket.set_patience(None)?;
        let fd = socket.as_raw_fd();
        let slot = Slot {
            fd,
            socket: Some(socket),
        };
        #[allow(
            deprecated,
            reason = "its successor is unsafe, for those whose descriptor may be closed before it is taken out of the poller; \
                      a slot owns its own until then, but for that of a child, which polls nothing"
        )]
        let registered = AsyncFd::new(slot)?;
        Ok(Self(registered))
    }

    pub(super) fn into_std(self) -> io::Result<StdSocket> {
        self.0.into_inner().socket.ok_or_else(closed)
    }

    /// Closes the socket in a forked child, where the poller is the parent's.
    pub(super) fn close_copy(mut self) {
        self.0.get_mut().socket = None;
        // Its drop would use the runtime, whose locks may have been taken at the fork.
        std::mem::forget(self);
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready_mut(cx))?;
            let room = buffer.remaining();
            let Some(read) = tried(&mut ready, |it| it.read(buffer.initialize_unfilled())) else {
                continue;
            };
            let count = read?;
            // There is no more, which the next read would find out at the cost of a call.
            if cfg!(target_os = "linux") && 0 < count && count < room {
                ready.clear_ready();
            }
            buffer.advance(count);
            return Poll::Ready(Ok(()));
        }
    }

    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.0.poll_write_ready_mut(cx))?;
            if let Some(written) = tried(&mut ready, |it| it.write(bytes)) {
                return Poll::Ready(written);
            }
        }
    }

    pub(super) fn shut_down(&self) -> io::Result<()> {
        let socket = self.0.get_ref().socket.as_ref();
        socket.ok_or_else(closed)?.shut_down()
    }
}

/// The outcome, unless it would block: then the poller is asked again.
fn tried(
    ready: &mut AsyncFdReadyMutGuard<'_, Slot>,
    io: impl FnOnce(&StdSocket) -> io::Result<usize>,
) -> Option<io::Result<usize>> {
    let tried = ready.try_io(|slot| io(slot.get_ref().socket.as_ref().ok_or_else(closed)?));
    tried.ok()
}

fn closed() -> io::Error {
    io::ErrorKind::NotConnected.into()
}
