//! pglock, by its public functions.

use std::time::Duration;

use pglock::{Advisory, Database};

use super::{
    ACQUIRE, ACQUIRE_ASYNC, ACQUIRE_TIMEOUT, Awaiting, Blocking, Failure, OneCaller, Pair, RUN,
    TRY_ACQUIRE, runtime,
};

/// A database of pglock's.
#[derive(Clone)]
pub(crate) struct Pglock {
    database: Database,
}

impl Pglock {
    pub(crate) fn new(url: &str) -> Result<Pglock, Failure> {
        Ok(Pglock {
            database: Database::builder(url).build()?,
        })
    }

    /// With sessions that no other side has, by its name, and that no turn before has opened.
    fn anew(name: &str, url: &str) -> Result<Pglock, Failure> {
        let database = Database::builder(url).application_name(name).build()?;
        // Equal handles share their sessions, and those of the last turn may still be open.
        database.close();
        Ok(Pglock { database })
    }

    /// A lock of this database.
    pub(crate) fn lock(&self, key: i64) -> Advisory {
        pglock::advisory(key).using(&self.database)
    }

    /// A pair of a caller who blocks.
    pub(crate) fn blocking_pair(&self, key: i64) -> Result<(), Failure> {
        self.lock(key).acquire()?.release()?;
        Ok(())
    }
}

impl Pair for Pglock {
    async fn pair(&self, key: i64) -> Result<(), Failure> {
        let guard = self.lock(key).acquire_async().await?;
        guard.release_async().await?;
        Ok(())
    }
}

pub(super) fn callers(url: &str) -> Result<[Box<dyn OneCaller>; 5], Failure> {
    Ok([
        blocking(ACQUIRE, url, Pglock::blocking_pair)?,
        blocking(ACQUIRE_TIMEOUT, url, |pglock, key| {
            let lock = pglock.lock(key).timeout(Duration::from_secs(2));
            Ok(lock.acquire()?.release()?)
        })?,
        blocking(TRY_ACQUIRE, url, |pglock, key| {
            let guard = pglock.lock(key).try_acquire()?;
            Ok(guard.ok_or("the lock is busy")?.release()?)
        })?,
        blocking(RUN, url, |pglock, key| {
            pglock.lock(key).run(|| Ok::<(), Failure>(()))
        })?,
        Box::new(Awaiting {
            name: ACQUIRE_ASYNC,
            runtime: runtime(),
            side: Pglock::anew(ACQUIRE_ASYNC, url)?,
        }),
    ])
}

fn blocking(
    name: &'static str,
    url: &str,
    pair: impl Fn(&Pglock, i64) -> Result<(), Failure> + 'static,
) -> Result<Box<dyn OneCaller>, Failure> {
    let pglock = Pglock::anew(name, url)?;
    Ok(Box::new(Blocking {
        name,
        pair: move |key| pair(&pglock, key),
    }))
}
