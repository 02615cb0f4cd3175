//! What is compared: each takes a lock and releases it, which is a pair.

use std::error::Error;
use std::future::Future;
use std::time::Instant;

use tokio::runtime::{self, Runtime};

use crate::stats::Samples;

mod bare;
mod django;
mod node;
mod pglock;
mod script;
mod sqlx;

pub(crate) use bare::Bare;
pub(crate) use pglock::Pglock;
pub(crate) use sqlx::Sqlx;

pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// One caller, who does one pair after the other.
pub(crate) trait OneCaller {
    fn name(&self) -> &str;

    /// Whether it runs in this process, whose allocations are counted.
    fn is_in_process(&self) -> bool;

    /// Does that many pairs, and says how long each took.
    fn pairs(&mut self, count: usize) -> Result<Samples, Failure>;
}

/// What many tasks can do at once.
pub(crate) trait Pair: Clone + Send + Sync + 'static {
    fn pair(&self, key: i64) -> impl Future<Output = Result<(), Failure>> + Send;
}

pub(crate) const BARE: &str = "`postgres::Client`, prepared";
pub(crate) const BARE_ASYNC: &str = "`tokio-postgres`, prepared";
pub(crate) const SQLX: &str = "sqlx, pool of 16";
pub(crate) const SQLX_NO_PING: &str = "sqlx, `test_before_acquire(false)`";
pub(crate) const ACQUIRE: &str = "pglock `acquire`";
pub(crate) const ACQUIRE_TIMEOUT: &str = "pglock `acquire`, `timeout` 2 s";
pub(crate) const TRY_ACQUIRE: &str = "pglock `try_acquire`";
pub(crate) const RUN: &str = "pglock `run`";
pub(crate) const ACQUIRE_ASYNC: &str = "pglock `acquire_async`";

/// All that one caller can use, and why some of it is missing.
pub(crate) struct Callers {
    pub(crate) present: Vec<Box<dyn OneCaller>>,
    pub(crate) missing: Vec<String>,
}

impl Callers {
    /// All of them, each connected to that database.
    pub(crate) fn of(url: &str) -> Result<Callers, Failure> {
        let mut callers = Callers {
            present: vec![
                bare::caller(url)?,
                bare::async_caller(url)?,
                sqlx::caller(SQLX, url, true)?,
                sqlx::caller(SQLX_NO_PING, url, false)?,
            ],
            missing: Vec::new(),
        };
        callers.present.extend(pglock::callers(url)?);
        for script in [django::caller(url), node::caller(url)] {
            match script {
                Ok(caller) => callers.present.push(Box::new(caller)),
                Err(why) => callers.missing.push(why),
            }
        }
        Ok(callers)
    }
}

/// The runtime of all async sides. One thread: on two cores that they share with the server, more gain sqlx nothing.
pub(crate) fn runtime() -> Runtime {
    runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts")
}

/// A runtime whose one thread runs tasks while the caller of it looks on.
pub(crate) fn background_runtime() -> Runtime {
    runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime starts")
}

/// A caller who blocks.
struct Blocking<F> {
    name: &'static str,
    pair: F,
}

impl<F: FnMut(i64) -> Result<(), Failure>> OneCaller for Blocking<F> {
    fn name(&self) -> &str {
        self.name
    }

    fn is_in_process(&self) -> bool {
        true
    }

    fn pairs(&mut self, count: usize) -> Result<Samples, Failure> {
        let mut samples = Samples::default();
        for key in keys(count) {
            let start = Instant::now();
            (self.pair)(key)?;
            samples.push(start.elapsed());
        }
        Ok(samples)
    }
}

/// A caller who awaits.
struct Awaiting<P> {
    name: &'static str,
    runtime: Runtime,
    side: P,
}

impl<P: Pair> OneCaller for Awaiting<P> {
    fn name(&self) -> &str {
        self.name
    }

    fn is_in_process(&self) -> bool {
        true
    }

    fn pairs(&mut self, count: usize) -> Result<Samples, Failure> {
        self.runtime.block_on(async {
            let mut samples = Samples::default();
            for key in keys(count) {
                let start = Instant::now();
                self.side.pair(key).await?;
                samples.push(start.elapsed());
            }
            Ok(samples)
        })
    }
}

fn keys(count: usize) -> impl Iterator<Item = i64> {
    (1..).take(count)
}
