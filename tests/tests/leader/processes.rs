//! Three real processes, of which one leads, while the one that does is ended in all ways.
//!
//! Each writes down when its terms begin and end, on the clock that all processes of a host share.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pglock::Error;
use pglock_tests::{BOUND, Child, Proxy, Server, child, database, wait_until};
use rustix::time::{ClockId, clock_gettime};
use tempfile::TempDir;

use super::{executor, holder, process};

/// How late a leader may hear that its session has ended: at once, and time for a loaded machine.
const HEARD: Duration = Duration::from_secs(4);

/// The bound of the documentation for a network that goes silent: 4 s, and time for a loaded machine.
const KNOWN: Duration = Duration::from_secs(7);

/// The bound of the documentation for the server to free the lock: 15 s, and time for a loaded machine.
const FREED: Duration = Duration::from_secs(25);

fn now() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(
        now.tv_sec.try_into().unwrap(),
        now.tv_nsec.try_into().unwrap(),
    )
}

/// What a child does: it leads whenever it can, until its parent is gone.
fn lead() {
    let path = PathBuf::from(child::argument("LOG"));
    let leader = process(&child::argument("URL"), &child::argument("NAME"));
    let executor = executor();
    executor.spawn(async move {
        let terms = leader.lead(|| async {
            let _term = Noted::begin(&path);
            std::future::pending::<Result<(), Error>>().await
        });
        panic!("it ended: {:?}", terms.await);
    });
    child::wait_for_end();
}

/// A term that runs, and is in the log.
struct Noted<'p>(&'p Path);

impl<'p> Noted<'p> {
    fn begin(path: &'p Path) -> Self {
        note(path, "began");
        Self(path)
    }
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        note(self.0, "ended");
    }
}

/// In one write, which a kill can't part.
fn note(path: &Path, what: &str) {
    let line = format!("{what} {}\n", now().as_nanos());
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.unwrap().write_all(line.as_bytes()).unwrap();
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Term {
    began: Duration,
    ended: Option<Duration>,
    process: usize,
}

/// All that have been started, each with a log of its own.
struct Processes {
    test: &'static str,
    logs: TempDir,
    children: Vec<Child>,
    /// When those that were killed were sure to run no more.
    killed: Vec<Option<Duration>>,
}

impl Processes {
    fn start(test: &'static str, urls: impl IntoIterator<Item = String>) -> Self {
        let mut processes = Self {
            test,
            logs: TempDir::new().unwrap(),
            children: Vec::new(),
            killed: Vec::new(),
        };
        for url in urls {
            processes.start_another(&url);
        }
        processes
    }

    fn start_another(&mut self, url: &str) {
        let number = self.children.len();
        let child = Child::of(self.test, "process")
            .argument("URL", url)
            .argument("NAME", format!("process {number}"))
            .argument("LOG", self.log(number))
            .start();
        self.children.push(child);
        self.killed.push(None);
    }

    fn log(&self, number: usize) -> PathBuf {
        self.logs.path().join(number.to_string())
    }

    /// All terms so far, in the order in which they began.
    fn terms(&self) -> Vec<Term> {
        let numbers = 0..self.children.len();
        let mut terms: Vec<_> = numbers.flat_map(|number| self.terms_of(number)).collect();
        terms.sort();
        terms
    }

    fn terms_of(&self, process: usize) -> Vec<Term> {
        let log = std::fs::read_to_string(self.log(process)).unwrap_or_default();
        let mut terms: Vec<Term> = Vec::new();
        for line in log.lines() {
            let (what, nanos) = line.split_once(' ').unwrap();
            let at = Duration::from_nanos(nanos.parse().unwrap());
            match terms.last_mut() {
                Some(last) if what == "ended" => last.ended = Some(at),
                last => {
                    let is_first = last.is_none_or(|last| last.ended.is_some());
                    assert!(what == "began" && is_first, "{log}");
                    terms.push(Term {
                        began: at,
                        ended: None,
                        process,
                    });
                }
            }
        }
        if let Some(last) = terms.last_mut() {
            last.ended = last.ended.or(self.killed[process]);
        }
        terms
    }

    /// Waits for the term of that number, from one on.
    fn wait_for_term(&self, number: usize, bound: Duration) -> Term {
        wait_until("another one leads", bound, || self.terms().len() >= number);
        self.terms()[number - 1].clone()
    }

    fn kill(&mut self, number: usize) {
        self.children[number].kill();
        self.killed[number] = Some(now());
    }

    /// None began before the one before it was told to end, at `ends[n]`, nor went on for longer than `bound` after that.
    fn assert_apart(&self, ends: &[Duration], bound: Duration) {
        let terms = self.terms();
        assert!(terms.len() > ends.len(), "{terms:?}");
        for (pair, end) in terms.windows(2).zip(ends) {
            let ended = pair[0].ended.expect("the next one leads");
            assert!(*end <= pair[1].began, "{terms:?}, {ends:?}");
            assert!(ended <= *end + bound, "{terms:?}, {ends:?}");
        }
    }
}

fn three(url: &str) -> [String; 3] {
    [(); 3].map(|()| url.to_owned())
}

#[test]
fn another_one_leads_when_the_leader_is_killed() {
    const TEST: &str = "processes::another_one_leads_when_the_leader_is_killed";
    if child::role().is_some() {
        return lead();
    }
    let db = database();
    let mut processes = Processes::start(TEST, three(db.url()));
    let mut ends = Vec::new();
    for number in 1..6 {
        let leader = processes.wait_for_term(number, BOUND).process;
        db.wait_for_waiters(2);
        ends.push(now());
        processes.kill(leader);
        processes.start_another(db.url());
    }
    processes.wait_for_term(6, BOUND);
    processes.assert_apart(&ends, HEARD);
}

#[test]
fn another_one_leads_when_the_leaders_session_is_terminated() {
    const TEST: &str = "processes::another_one_leads_when_the_leaders_session_is_terminated";
    if child::role().is_some() {
        return lead();
    }
    let db = database();
    let processes = Processes::start(TEST, three(db.url()));
    let mut ends = Vec::new();
    for number in 1..6 {
        let last = processes.wait_for_term(number, BOUND);
        // The one before has come back to wait.
        db.wait_for_waiters(2);
        assert_eq!(processes.terms().last(), Some(&last));
        ends.push(now());
        db.terminate(holder(&db));
    }
    processes.wait_for_term(6, BOUND);
    processes.assert_apart(&ends, HEARD);
}

#[test]
fn one_leads_again_when_the_server_is_back() {
    const TEST: &str = "processes::one_leads_again_when_the_server_is_back";
    if child::role().is_some() {
        return lead();
    }
    let server = Server::start();
    let db = server.create_database();
    let processes = Processes::start(TEST, three(db.url()));
    let mut ends = Vec::new();
    for (number, end) in (1..).zip([Server::stop, Server::kill, Server::stop]) {
        processes.wait_for_term(number, 2 * BOUND);
        ends.push(now());
        end(&server);
        wait_until("the leader has stopped", BOUND, || {
            processes.terms().iter().all(|term| term.ended.is_some())
        });
        server.start_again();
    }
    processes.wait_for_term(4, 2 * BOUND);
    processes.assert_apart(&ends, HEARD);
}

#[test]
fn a_leader_behind_a_silent_network_stops_before_another_one_leads() {
    const TEST: &str = "processes::a_leader_behind_a_silent_network_stops_before_another_one_leads";
    if child::role().is_some() {
        return lead();
    }
    let server = Server::builder().tcp(true).start();
    let db = server.create_database();
    let proxies = [(); 3].map(|()| Proxy::start_tcp(&server));
    let urls = proxies.each_ref().map(|proxy| proxy.url(db.name()));
    let processes = Processes::start(TEST, urls);
    let first = processes.wait_for_term(1, BOUND);
    db.wait_for_waiters(2);
    let cut = now();
    proxies[first.process].lose_packets();
    let next = processes.wait_for_term(2, FREED);
    assert_ne!(next.process, first.process);
    let ended = processes.terms()[0].ended.expect("the next one leads");
    assert!(ended < next.began, "{ended:?}, {:?}", next.began);
    processes.assert_apart(&[cut], KNOWN);
}
