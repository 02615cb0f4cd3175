//! The pid that the server announced at the start of a session, in its `BackendKeyData` message.
//!
//! The driver shows it only in a cancel request. So one is written to memory, and sent to no server.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio_postgres::Client;
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

use crate::error::Failure;

/// The request for encryption that precedes the cancel request: its length, and a number in place of a version.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// The pid that was announced to this client.
pub(super) async fn pid(client: &Client) -> Result<i32, Failure> {
    let (ours, theirs) = tokio::io::duplex(64);
    let token = client.cancel_token();
    let (sent, request) = tokio::join!(token.cancel_query_raw(ours, InMemory), request(theirs));
    sent?;
    let [.., a, b, c, d, _, _, _, _] = request.map_err(|_| Failure::unexpected_answer())?;
    Ok(i32::from_be_bytes([a, b, c, d]))
}

/// Reads a cancel request, as a server that supports encryption would.
async fn request(mut theirs: DuplexStream) -> io::Result<[u8; 16]> {
    let mut request = [0; 16];
    theirs.read_exact(&mut request[..8]).await?;
    if request[..8] == SSL_REQUEST {
        theirs.write_all(b"S").await?;
        theirs.read_exact(&mut request[..8]).await?;
    }
    theirs.read_exact(&mut request[8..]).await?;
    Ok(request)
}

/// A TLS connector that does not encrypt, since nothing leaves this process. Without one, a client that requires
/// encryption would send nothing.
struct InMemory;

impl TlsConnect<DuplexStream> for InMemory {
    type Stream = Memory;
    type Error = Infallible;
    type Future = Ready<Result<Memory, Infallible>>;

    fn connect(self, stream: DuplexStream) -> Self::Future {
        ready(Ok(Memory(stream)))
    }
}

struct Memory(DuplexStream);

impl TlsStream for Memory {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Memory {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Memory {
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
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
