//! A TCP proxy in front of a server, which counts round trips and can go dark.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use postgres::Config;
use postgres::config::Host;
use socket2::{SockFilter, SockRef};

use crate::server::Server;
use crate::url;
use crate::wait::{BOUND, wait_until};

/// A proxy on a port of 127.0.0.1, gone with its connections when dropped.
#[derive(Debug)]
pub struct Proxy {
    user: String,
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: Target,
    round_trips: AtomicUsize,
    connections: AtomicUsize,
    ended: AtomicBool,
    login_millis: AtomicU64,
    sockets: Mutex<Vec<Socket>>,
    requests: Gate,
    answers: Gate,
    listener: TcpListener,
}

#[derive(Debug)]
enum Target {
    Tcp(String, u16),
    Unix(PathBuf),
}

impl Proxy {
    /// A proxy in front of `server`.
    #[must_use]
    pub fn start(server: &Server) -> Proxy {
        Proxy::to(&server.url("postgres"))
    }

    /// A proxy in front of a server built with [`Builder::tcp`](crate::Builder::tcp), that is TCP on both sides: only such a
    /// one can [lose packets](Proxy::lose_packets).
    #[must_use]
    pub fn start_tcp(server: &Server) -> Proxy {
        Proxy::to(&server.tcp_url("postgres"))
    }

    fn to(url: &str) -> Proxy {
        let config: Config = url.parse().expect("the server's URL");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("can't listen");
        let proxy = Proxy {
            user: user(&config),
            address: listener.local_addr().expect("it listens"),
            shared: Arc::new(Shared {
                target: target(&config),
                round_trips: AtomicUsize::new(0),
                connections: AtomicUsize::new(0),
                ended: AtomicBool::new(false),
                login_millis: AtomicU64::new(0),
                sockets: Mutex::default(),
                requests: Gate::default(),
                answers: Gate::default(),
                listener: listener.try_clone().expect("it listens"),
            }),
        };
        let shared = proxy.shared.clone();
        thread::spawn(move || shared.accept(&listener));
        proxy
    }

    /// The URL of one of the server's databases through the proxy.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        url::with_database(
            &format!("postgresql://{}@{}", self.user, self.address),
            database,
        )
    }

    /// How many round trips there were so far, on all connections: how often the server said that
    /// it is ready for the next query, logging in not counted.
    #[must_use]
    pub fn round_trips(&self) -> usize {
        self.shared.round_trips.load(Ordering::SeqCst)
    }

    /// How many connections were accepted so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Goes dark: from now on nothing passes in either direction, not even the end of a
    /// connection, and all connections stay open.
    pub fn stop_forwarding(&self) {
        self.shared.requests.close();
        self.shared.answers.close();
    }

    /// Goes dark as a network does that loses all packets, in both directions: beyond
    /// [`stop_forwarding`](Proxy::stop_forwarding), the kernel acknowledges nothing any more on behalf of the proxy,
    /// neither data nor keepalives nor new connections. For good.
    pub fn lose_packets(&self) {
        /// Returns 0, the number of bytes to keep of a packet.
        const LOSE_ALL: SockFilter = SockFilter::new(0x06, 0, 0, 0);
        self.stop_forwarding();
        // A filter is for what arrives. What the proxy has sent, and nobody has acknowledged, it would send again for ever.
        wait_until("all that was sent is acknowledged", BOUND, || {
            self.shared.sockets().iter().all(is_acknowledged)
        });
        let lose = |socket: SockRef<'_>| socket.attach_filter(&[LOSE_ALL]);
        lose(SockRef::from(&self.shared.listener)).expect("the kernel has filters");
        for socket in self.shared.sockets().iter() {
            match socket {
                Socket::Tcp(socket) => lose(SockRef::from(socket)).expect("the kernel has filters"),
                Socket::Unix(_) => panic!("a unix socket loses no packets: see Proxy::start_tcp"),
            }
        }
    }

    /// Makes each new connection take that long, as where logins are slow. Those that are open go on as before.
    pub fn delay_connections(&self, delay: Duration) {
        let millis = delay.as_millis().try_into().expect("a short delay");
        self.shared.login_millis.store(millis, Ordering::SeqCst);
    }

    /// Goes dark in one direction: the server gets all, and from now on nothing of what it answers passes.
    pub fn stop_answers(&self) {
        self.shared.answers.close();
    }

    /// Ends [`stop_forwarding`](Proxy::stop_forwarding) and [`stop_answers`](Proxy::stop_answers): what was held back
    /// is passed on.
    pub fn resume(&self) {
        self.shared.requests.open();
        self.shared.answers.open();
    }

    /// Closes all connections, on both sides.
    pub fn close_all(&self) {
        for socket in self.shared.sockets().drain(..) {
            socket.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        let _ = SockRef::from(&self.shared.listener).detach_filter();
        // Wakes the thread that accepts, which sees that it has ended.
        let _ = TcpStream::connect(self.address);
        self.close_all();
        self.resume();
    }
}

/// Whether the other side's kernel has all that was sent, as Linux tells it.
fn is_acknowledged(socket: &Socket) -> bool {
    let Socket::Tcp(socket) = socket else {
        return true;
    };
    let (Ok(local), Ok(remote)) = (socket.local_addr(), socket.peer_addr()) else {
        return true;
    };
    let (local, remote) = (
        format!(":{:04X}", local.port()),
        format!(":{:04X}", remote.port()),
    );
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the sockets of this host");
    !table.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        matches!(fields[..], [_, from, to, _, queues, ..]
            if from.ends_with(&local) && to.ends_with(&remote) && !queues.starts_with("00000000:"))
    })
}

fn user(config: &Config) -> String {
    let name = url::encode(config.get_user().unwrap_or("postgres").as_bytes());
    match config.get_password() {
        Some(password) => format!("{name}:{}", url::encode(password)),
        None => name,
    }
}

fn target(config: &Config) -> Target {
    let port = config.get_ports().first().copied().unwrap_or(5432);
    match config.get_hosts().first() {
        Some(Host::Tcp(host)) => Target::Tcp(host.clone(), port),
        Some(Host::Unix(folder)) => Target::Unix(folder.join(format!(".s.PGSQL.{port}"))),
        None => Target::Tcp("localhost".to_owned(), port),
    }
}

impl Shared {
    fn accept(self: Arc<Shared>, listener: &TcpListener) {
        for client in listener.incoming().flatten() {
            if self.ended.load(Ordering::SeqCst) {
                return;
            }
            self.connections.fetch_add(1, Ordering::SeqCst);
            let shared = self.clone();
            // A connection that fails is closed, which is all there is to say about it.
            thread::spawn(move || shared.serve(Socket::Tcp(client)));
        }
    }

    fn serve(&self, client: Socket) -> io::Result<()> {
        client.no_delay()?;
        self.sockets().push(client.try_clone()?);
        let mut from_client = client.try_clone()?;
        let start_up = first_message(&mut from_client)?;
        thread::sleep(Duration::from_millis(
            self.login_millis.load(Ordering::SeqCst),
        ));
        self.requests.pass(|| Ok(()))?;
        let server = self.target.connect()?;
        self.sockets().push(server.try_clone()?);
        let (mut from_server, mut to_server, mut to_client) = (server.try_clone()?, server, client);
        to_server.write_all(&start_up)?;

        let mut ready = ReadyCounter::default();
        let mut logged_in = false;
        thread::scope(|scope| {
            scope.spawn(|| forward(&self.requests, &mut from_client, &mut to_server, |_| {}));
            forward(&self.answers, &mut from_server, &mut to_client, |bytes| {
                let mut count = ready.count(bytes);
                if count > 0 && !logged_in {
                    logged_in = true;
                    count -= 1;
                }
                self.round_trips.fetch_add(count, Ordering::SeqCst);
            });
        });
        Ok(())
    }

    fn sockets(&self) -> MutexGuard<'_, Vec<Socket>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Copies bytes until either side closes. `see` sees them before the other side does.
fn forward(gate: &Gate, from: &mut Socket, to: &mut Socket, mut see: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut buffer);
        let passed = gate.pass(|| match read {
            Ok(0) | Err(_) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                see(&buffer[..n]);
                to.write_all(&buffer[..n])
            }
        });
        if passed.is_err() {
            // Both ways: a client that is gone is gone for the server too.
            from.shutdown(Shutdown::Both);
            to.shutdown(Shutdown::Both);
            return;
        }
    }
}

/// The message that a connection starts with. Offers of encryption come before it, and are
/// declined: their answer has no frame, and the proxy could not read on.
fn first_message(client: &mut Socket) -> io::Result<Vec<u8>> {
    const SSL_REQUEST: u32 = 80_877_103;
    const GSS_REQUEST: u32 = 80_877_104;
    loop {
        let mut message = vec![0; 8];
        client.read_exact(&mut message)?;
        let number =
            |at: usize| u32::from_be_bytes(message[at..at + 4].try_into().expect("4 bytes"));
        match number(4) {
            SSL_REQUEST | GSS_REQUEST => client.write_all(b"N")?,
            _ => return Ok(message),
        }
    }
}

/// Finds the message `ReadyForQuery` in what a server sends, however that is cut into reads.
#[derive(Debug, Default)]
struct ReadyCounter {
    /// The start of a message: its type and its length.
    header: Vec<u8>,
    /// What is still to come of the message after its header.
    body_left: usize,
}

impl ReadyCounter {
    fn count(&mut self, mut bytes: &[u8]) -> usize {
        let mut found = 0;
        while !bytes.is_empty() {
            let body = bytes.len().min(self.body_left);
            self.body_left -= body;
            bytes = &bytes[body..];

            let header = bytes.len().min(5 - self.header.len());
            self.header.extend_from_slice(&bytes[..header]);
            bytes = &bytes[header..];
            if let &[kind, a, b, c, d] = self.header.as_slice() {
                found += usize::from(kind == b'Z');
                // The length counts itself.
                self.body_left = u32::from_be_bytes([a, b, c, d]).saturating_sub(4) as usize;
                self.header.clear();
            }
        }
        found
    }
}

/// What everything passes, unless it is closed.
#[derive(Debug, Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    closed: bool,
    passing: usize,
}

impl Gate {
    fn pass(&self, work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut state = self
            .changed
            .wait_while(self.state(), |state| state.closed)
            .expect("not poisoned");
        state.passing += 1;
        drop(state);
        let result = work();
        self.state().passing -= 1;
        self.changed.notify_all();
        result
    }

    /// Returns when nothing is on its way any more.
    fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        drop(self.changed.wait_while(state, |state| state.passing > 0));
    }

    fn open(&self) {
        self.state().closed = false;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Target {
    fn connect(&self) -> io::Result<Socket> {
        let socket = match self {
            Target::Tcp(host, port) => Socket::Tcp(TcpStream::connect((host.as_str(), *port))?),
            Target::Unix(path) => Socket::Unix(UnixStream::connect(path)?),
        };
        socket.no_delay()?;
        Ok(socket)
    }
}

/// A socket of either kind.
#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    fn try_clone(&self) -> io::Result<Socket> {
        match self {
            Socket::Tcp(socket) => socket.try_clone().map(Socket::Tcp),
            Socket::Unix(socket) => socket.try_clone().map(Socket::Unix),
        }
    }

    fn no_delay(&self) -> io::Result<()> {
        match self {
            Socket::Tcp(socket) => socket.set_nodelay(true),
            Socket::Unix(_) => Ok(()),
        }
    }

    fn shutdown(&self, how: Shutdown) {
        // Fails where the other side did it first.
        let _ = match self {
            Socket::Tcp(socket) => socket.shutdown(how),
            Socket::Unix(socket) => socket.shutdown(how),
        };
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(socket) => socket.read(buffer),
            Socket::Unix(socket) => socket.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(socket) => socket.write(bytes),
            Socket::Unix(socket) => socket.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::ReadyCounter;

    /// A row that holds what looks like `ReadyForQuery`, then a real one.
    const STREAM: &[u8] = b"D\0\0\0\x0aZ\0\0\0\x05IZ\0\0\0\x05I";

    #[test]
    fn ready_is_found_however_the_stream_is_cut() {
        for cut in 0..=STREAM.len() {
            let (first, second) = STREAM.split_at(cut);
            let mut counter = ReadyCounter::default();
            assert_eq!(
                counter.count(first) + counter.count(second),
                1,
                "cut at {cut}"
            );
        }
        let mut counter = ReadyCounter::default();
        let byte_by_byte: usize = STREAM.chunks(1).map(|byte| counter.count(byte)).sum();
        assert_eq!(byte_by_byte, 1);
    }
}
