//! The settings of a handle, one method each.

use std::error::Error as StdError;
#[cfg(feature = "rustls")]
use std::path::PathBuf;
use std::time::Duration;

use super::DatabaseBuilder;
use crate::database::credentials::AskPassword;

impl DatabaseBuilder {
    /// Sets the `application_name` of the sessions, after `pglock: `. It is shown to others when a lock is busy. Postgres keeps
    /// 63 bytes.
    ///
    /// Without it, and without `application_name` in the URL, it is `program@host`, shortened so that it fits. The host is left
    /// out where neither Linux nor the environment (`HOSTNAME`, on Windows `COMPUTERNAME`) says it.
    ///
    /// See also [`application_name`](https://www.postgresql.org/docs/current/runtime-config-logging.html#GUC-APPLICATION-NAME).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// let reports = pglock::Database::builder(database.url()).application_name("reports").build()?;
    /// let guard = pglock::advisory("nightly").using(&reports).acquire()?;
    /// let busy = pglock::advisory("nightly").using(&reports).timeout(std::time::Duration::ZERO).acquire().unwrap_err();
    /// assert_eq!(busy.holder().unwrap().application_name, "pglock: reports");
    /// # Ok(())
    /// # }
    /// ```
    pub fn application_name(mut self, name: impl Into<String>) -> Self {
        self.application_name = Some(name.into());
        self
    }

    /// Sets the function that is asked for the password of each new session, such as a token that is good for minutes. A
    /// password in the URL is not used then.
    ///
    /// It runs on a thread of pglock's, beside the one that opens sessions, and may block, but not for longer than
    /// `connect_timeout`. If it fails or panics, there is no session: [`Connect`](crate::ErrorKind::Connect). Open sessions go
    /// on with the password that they have logged in with.
    ///
    /// Two handles with a function each are different databases to pglock: clone the builder or the handle.
    ///
    /// ```
    /// # fn token() -> Result<String, std::io::Error> { Ok("none".into()) }
    /// # fn main() -> Result<(), pglock::Error> {
    /// # let test = pglock_tests::database();
    /// # let url = test.url();
    /// let database = pglock::Database::builder(url).password_with(|| token()).build()?;
    /// pglock::advisory("nightly").using(&database).acquire()?.release()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn password_with<P, E>(
        mut self,
        ask: impl Fn() -> Result<P, E> + Send + Sync + 'static,
    ) -> Self
    where
        P: Into<String>,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        self.password = Some(AskPassword::blocking(ask));
        self
    }

    /// Like [`password_with`](Self::password_with), for a function that returns a future. It runs on pglock's thread, which has
    /// a tokio runtime, and must not block it.
    ///
    /// ```
    /// # async fn token() -> Result<String, std::io::Error> { Ok("none".into()) }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), pglock::Error> {
    /// # let test = pglock_tests::database();
    /// # let url = test.url();
    /// let database = pglock::Database::builder(url)
    ///     .password_with_async(|| async { token().await })
    ///     .build()?;
    /// database.ping_async().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn password_with_async<P, E, F>(
        mut self,
        ask: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        P: Into<String>,
        E: Into<Box<dyn StdError + Send + Sync>>,
        F: Future<Output = Result<P, E>> + Send + 'static,
    {
        self.password = Some(AskPassword::asynchronous(ask));
        self
    }

    /// Sets the PEM file with the authorities that may sign the server's certificate, or `system` for the operating system's.
    ///
    /// Overrides `sslrootcert` in the [URL](crate::Database::builder), and like that makes pglock verify the server. Needs the feature
    /// `rustls`.
    ///
    /// See also [`sslrootcert`](https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-SSLROOTCERT).
    ///
    /// ```
    /// # fn main() -> Result<(), pglock::Error> {
    /// let error = pglock::Database::builder("postgres://app@db.example/app")
    ///     .root_certificates("/etc/no/such.pem")
    ///     .build()
    ///     .unwrap_err();
    /// assert!(error.is_config());
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "rustls")]
    pub fn root_certificates(mut self, path: impl Into<PathBuf>) -> Self {
        self.root_certificates = Some(path.into());
        self
    }

    /// Sets the time within which pglock notices a silent network (no answer, no error): from 1 s to 1 h, by default 4 s.
    ///
    /// After that time a holder gets [`Lost`](crate::ErrorKind::Lost), and a waiter gets
    /// [`Connect`](crate::ErrorKind::Connect). The server releases the lock later: after three to four times as long. A single
    /// answer may take five eighths of the time.
    ///
    /// A session that holds locks and is otherwise silent gets four heartbeats in that time, so one a second by default. A
    /// heartbeat is one query with only a comment, which names the locks that the session has held longest. Idle sessions get
    /// none. For all sessions that wait for locks together, one more session gets heartbeats. It is opened when a wait has
    /// lasted for a quarter of the time. While it cannot be opened, because logins are slow or the server is full, waits go on,
    /// and only keepalives watch the network.
    ///
    /// Keepalive settings in the URL (`keepalives`, `keepalives_idle`, `keepalives_interval`, `keepalives_retries`,
    /// `tcp_user_timeout`) override those that derive from this.
    ///
    /// See also [`tcp_user_timeout`](https://www.postgresql.org/docs/current/runtime-config-connection.html#GUC-TCP-USER-TIMEOUT)
    /// and the keepalive settings next to it, which pglock sets in the server and in the client.
    ///
    /// ```
    /// # fn main() -> Result<(), pglock::Error> {
    /// use std::time::Duration;
    ///
    /// let database = pglock::Database::builder("postgres://app@db.example/app")
    ///     .heartbeat(Duration::from_secs(10)) // over a slow link
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn heartbeat(mut self, bound: Duration) -> Self {
        self.heartbeat = Some(bound);
        self
    }

    /// Sets how long a client may be silent before the server ends its session, and so releases its lock: from twice the
    /// heartbeat to 24 h. By default there is no such limit.
    ///
    /// It is for a process that is stopped (SIGSTOP, a debugger, a paused virtual machine), whose kernel still acknowledges
    /// what the server sends, and for proxies and poolers that hang. Such a process notices the loss of its lock only a moment
    /// after it resumes, so **until then its code can overlap with the next holder's**: work that must never overlap needs its
    /// own check where it writes. The lease does not run while a session waits in the server for a lock.
    ///
    /// See also [`idle_session_timeout`](https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-IDLE-SESSION-TIMEOUT),
    /// and `idle_in_transaction_session_timeout`, which is used for [`xact`](crate::Advisory::xact).
    ///
    /// ```
    /// # fn main() -> Result<(), pglock::Error> {
    /// use std::time::Duration;
    ///
    /// let database = pglock::Database::builder("postgres://app@db.example/app")
    ///     .lease(Duration::from_secs(30))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Sets how many sessions may be those of one lock each in this database: 1 or more, 16 by default.
    ///
    /// `xact` and dedicated locks have a session each, and so do waits in prioritized sections; all others share a few. Where
    /// all are in use, callers wait for one, in their order, instead of taking the last connections from others. That wait is part of the lock's `timeout`: when it is over, or at once for a single try, the error is
    /// [`Environment`](crate::ErrorKind::Environment), not [`Busy`](crate::ErrorKind::Busy), because nothing is known about
    /// the lock. `side_effect = Skip` does not skip it.
    ///
    /// A call inside a call comes on top, since it could wait for its own enclosing call. So do the sessions that cancel
    /// waits and look up holders, and the watcher of [prioritized](fn@crate::prioritize) sections.
    ///
    /// Guards are not calls: code that holds guards and acquires more of them without a timeout can wait for itself.
    ///
    /// Handles that differ in this are different databases to pglock, and each has its own limit.
    ///
    /// See also [`max_connections`](https://www.postgresql.org/docs/current/runtime-config-connection.html#GUC-MAX-CONNECTIONS).
    ///
    /// ```
    /// # fn main() -> Result<(), pglock::Error> {
    /// # let test = pglock_tests::database();
    /// let database = pglock::Database::builder(test.url()).max_sessions(1).build()?;
    /// let guard = pglock::advisory("one").using(&database).xact().acquire()?;
    /// let error = pglock::advisory("another").using(&database).xact().try_acquire().unwrap_err();
    /// assert!(error.is_environment());
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_sessions(mut self, sessions: usize) -> Self {
        self.max_sessions = Some(sessions);
        self
    }

    /// Sets how long a session is kept that nobody uses: 60 s by default.
    ///
    /// A lock that comes later has to connect. Sessions beyond eight are kept for 10 s at most. It is looked every two seconds
    /// which are to be closed. To close them now, call [`close`](crate::Database::close).
    ///
    /// ```
    /// # fn main() -> Result<(), pglock::Error> {
    /// use std::time::Duration;
    ///
    /// let database = pglock::Database::builder("postgres://app@db.example/app")
    ///     .idle_timeout(Duration::from_secs(5)) // a lock an hour needs no session in between
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn idle_timeout(mut self, time: Duration) -> Self {
        self.idle_timeout = Some(time);
        self
    }
}
