//! The protocol's cancel request for sessions of pglock's own, seen to its end.
//!
//! It needs no login, so the server takes it even when it is full. The driver's own request ends when it is sent, and may
//! cancel the session's next statement. This one ends when the server closes the connection, which it does after it has
//! signaled the session.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_postgres::CancelToken;

use super::addresses::Address;
use crate::database::handle::Database;

impl Database {
    /// Cancels what the session of `token` does now. Failures are not told: the caller looks whether it has ended.
    ///
    /// The driver does not tell which address a session is connected to, so each that the name of a host has gets the
    /// request, and each host if there are several. Where there is no such session it has no effect, since the token
    /// contains a secret of the session.
    pub(crate) async fn cancel(&self, token: &CancelToken) {
        let mut steps = JoinSet::new();
        for host in self.hosts() {
            steps.spawn_local(async move {
                // A host that is not found is not that of the session.
                CancelStep::Found(host.addresses().await.unwrap_or_default())
            });
        }
        while let Some(step) = steps.join_next().await {
            let Ok(CancelStep::Found(addresses)) = step else {
                continue;
            };
            for address in addresses {
                let (database, token) = (self.clone(), token.clone());
                steps.spawn_local(async move {
                    // An address that does not answer is not that of the session.
                    let _ = address.cancel(&database, &token).await;
                    CancelStep::Sent
                });
            }
        }
    }
}

enum CancelStep {
    Found(Vec<Address>),
    Sent,
}

impl Address {
    async fn cancel(
        self,
        database: &Database,
        token: &CancelToken,
    ) -> Result<(), Box<dyn std::error::Error>> {
        match self {
            Self::Tcp(address, name) => {
                let stream = ReadToEnd(TcpStream::connect(address).await?);
                database.tls().cancel(token, stream, &name).await?;
            }
            #[cfg(unix)]
            Self::Unix(path) => {
                let stream = ReadToEnd(tokio::net::UnixStream::connect(path).await?);
                // It is never encrypted.
                let tls = tokio_postgres::NoTls;
                token.cancel_query_raw(stream, tls).await?;
            }
        }
        Ok(())
    }
}

/// A stream whose shutdown waits until the other side has closed it. Its own side stays open for so long, since a pooler
/// may take its end for that of a client that needs no answer any more.
struct ReadToEnd<S>(S);

impl<S: AsyncRead + Unpin> AsyncRead for ReadToEnd<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ReadToEnd<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut bytes = [0; 64];
            let mut buffer = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.0).poll_read(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}
