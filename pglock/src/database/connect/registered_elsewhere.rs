//! A socket that the runtime of pglock's thread waits for, on systems without forks.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::std_socket::StdSocket;

pub(super) struct Registered(tokio::net::TcpStream);

impl Registered {
    pub(super) fn new(socket: StdSocket) -> io::Result<Self> {
        socket.set_patience(None)?;
        let StdSocket::Tcp(socket) = socket;
        Ok(Self(tokio::net::TcpStream::from_std(socket)?))
    }

    pub(super) fn into_std(self) -> io::Result<StdSocket> {
        Ok(StdSocket::Tcp(self.0.into_std()?))
    }

    pub(super) fn close_copy(self) {}

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }

    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    pub(super) fn shut_down(&self) -> io::Result<()> {
        socket2::SockRef::from(&self.0).shutdown(std::net::Shutdown::Write)
    }
}
