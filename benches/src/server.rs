//! The server that is measured, and a session that looks on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pglock_tests::Server;
use postgres::{Client, Config, NoTls};

/// A throwaway server with the settings of the report: room for a library that takes a connection for each lock to
/// show it without harm, and a lock table that holds 10,000 locks twice over.
pub(crate) fn start() -> Server {
    Server::builder()
        .setting("max_connections", "300")
        .setting("max_locks_per_transaction", "128")
        .tcp(true)
        .start()
}

/// A session of its own that looks at all others in its database.
pub(crate) struct Observer(Client);

const OBSERVER: &str = "pglock-benches observer";

impl Observer {
    pub(crate) fn connect(url: &str) -> Observer {
        let mut config: Config = url.parse().expect("our own URL");
        config.application_name(OBSERVER);
        Observer(config.connect(NoTls).expect("the server takes connections"))
    }

    /// How many sessions there are in this database, observers not counted.
    pub(crate) fn connections(&mut self) -> usize {
        self.backends().len()
    }

    /// The backends of this database, those of observers not counted.
    pub(crate) fn backends(&mut self) -> Vec<i32> {
        let rows = self.0.query(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name <> $1",
            &[&OBSERVER],
        );
        let rows = rows.expect("this session lives on");
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// How many advisory locks of this database are held.
    pub(crate) fn held(&mut self) -> usize {
        self.locks(true)
    }

    /// How many sessions wait for advisory locks of this database.
    pub(crate) fn waiting(&mut self) -> usize {
        self.locks(false)
    }

    fn locks(&mut self, granted: bool) -> usize {
        let row = self.0.query_one(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted = $1
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            &[&granted],
        );
        let count: i64 = row.expect("this session lives on").get(0);
        usize::try_from(count).expect("a count is not negative")
    }
}

/// Looks for the most connections that there are at once.
pub(crate) struct Peak {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
}

impl Peak {
    /// Counts those of that database, but for those of observers.
    pub(crate) fn watch(url: &str) -> Peak {
        let mut observer = Observer::connect(url);
        let ended = Arc::new(AtomicBool::new(false));
        let stop = ended.clone();
        let thread = thread::spawn(move || {
            let mut most = 0;
            while !stop.load(Ordering::SeqCst) {
                most = most.max(observer.connections());
                thread::sleep(Duration::from_millis(5));
            }
            most
        });
        Peak { ended, thread }
    }

    pub(crate) fn end(self) -> usize {
        self.ended.store(true, Ordering::SeqCst);
        self.thread.join().expect("it does not panic")
    }
}

/// Waits until `so` is true, and says how long that took; `None` if it is not so within `bound`.
pub(crate) fn within(bound: Duration, mut so: impl FnMut() -> bool) -> Option<Duration> {
    let start = Instant::now();
    while !so() {
        if start.elapsed() > bound {
            return None;
        }
        thread::sleep(Duration::from_micros(200));
    }
    Some(start.elapsed())
}

/// Microseconds on a clock that all processes share.
pub(crate) fn now() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0.0, |now| now.as_nanos() as f64 / 1e3)
}

/// The memory of those processes in bytes, what they share divided among those who share it; `None` where the system
/// does not say.
pub(crate) fn memory(pids: &[i32]) -> Option<f64> {
    let kilobytes = pids.iter().map(|pid| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.trim().trim_end_matches(" kB").parse::<f64>().ok()
    });
    kilobytes.sum::<Option<f64>>().map(|sum| sum * 1024.0)
}
