//! The drivers without a library of locks: prepared statements on a connection of one's own.

use std::sync::Arc;

use postgres::NoTls;

use super::{Awaiting, BARE, BARE_ASYNC, Blocking, Failure, OneCaller, Pair, runtime};

const TRY: &str = "SELECT pg_try_advisory_lock($1)";
const WAIT: &str = "SELECT pg_advisory_lock($1)";
const UNLOCK: &str = "SELECT pg_advisory_unlock($1)";

/// A connection of `postgres`, with its statements prepared.
pub(crate) struct Bare {
    pub(crate) client: postgres::Client,
    lock: postgres::Statement,
    wait: postgres::Statement,
    unlock: postgres::Statement,
}

impl Bare {
    pub(crate) fn connect(url: &str) -> Result<Bare, Failure> {
        let mut client = postgres::Client::connect(url, NoTls)?;
        Ok(Bare {
            lock: client.prepare(TRY)?,
            wait: client.prepare(WAIT)?,
            unlock: client.prepare(UNLOCK)?,
            client,
        })
    }

    pub(crate) fn pair(&mut self, key: i64) -> Result<(), Failure> {
        let got: bool = self.client.query_one(&self.lock, &[&key])?.get(0);
        if !got {
            return Err("the lock is busy".into());
        }
        self.unlock(key)
    }

    pub(crate) fn wait(&mut self, key: i64) -> Result<(), Failure> {
        self.client.query_one(&self.wait, &[&key])?;
        Ok(())
    }

    pub(crate) fn unlock(&mut self, key: i64) -> Result<(), Failure> {
        let released: bool = self.client.query_one(&self.unlock, &[&key])?.get(0);
        if released {
            Ok(())
        } else {
            Err("the lock was not held".into())
        }
    }
}

/// A connection of `tokio-postgres`, with its statements prepared.
#[derive(Clone)]
struct BareAsync {
    client: Arc<tokio_postgres::Client>,
    lock: tokio_postgres::Statement,
    unlock: tokio_postgres::Statement,
}

impl BareAsync {
    async fn connect(url: &str) -> Result<BareAsync, Failure> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(connection);
        Ok(BareAsync {
            lock: client.prepare(TRY).await?,
            unlock: client.prepare(UNLOCK).await?,
            client: Arc::new(client),
        })
    }
}

impl Pair for BareAsync {
    async fn pair(&self, key: i64) -> Result<(), Failure> {
        for statement in [&self.lock, &self.unlock] {
            let done: bool = self.client.query_one(statement, &[&key]).await?.get(0);
            if !done {
                return Err("the lock is busy or was not held".into());
            }
        }
        Ok(())
    }
}

pub(super) fn caller(url: &str) -> Result<Box<dyn OneCaller>, Failure> {
    let mut bare = Bare::connect(url)?;
    Ok(Box::new(Blocking {
        name: BARE,
        pair: move |key| bare.pair(key),
    }))
}

pub(super) fn async_caller(url: &str) -> Result<Box<dyn OneCaller>, Failure> {
    let runtime = runtime();
    Ok(Box::new(Awaiting {
        name: BARE_ASYNC,
        side: runtime.block_on(BareAsync::connect(url))?,
        runtime,
    }))
}
