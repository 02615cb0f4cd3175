//! sqlx's own advisory locks, on a pool of 16 connections.

use sqlx::PgPool;
use sqlx::postgres::{PgAdvisoryLock, PgAdvisoryLockGuard, PgAdvisoryLockKey, PgPoolOptions};

use super::{Awaiting, Failure, OneCaller, Pair, runtime};

/// A pool of sqlx's.
#[derive(Clone)]
pub(crate) struct Sqlx {
    pool: PgPool,
}

impl Sqlx {
    /// A pool with sqlx's defaults, but for its size and `ping`: whether a connection is tested before it is lent.
    pub(crate) async fn connect(url: &str, size: u32, ping: bool) -> Result<Sqlx, Failure> {
        let options = PgPoolOptions::new()
            .max_connections(size)
            .test_before_acquire(ping);
        Ok(Sqlx {
            pool: options.connect(url).await?,
        })
    }

    pub(crate) async fn acquire(
        &self,
        key: i64,
    ) -> Result<PgAdvisoryLockGuard<sqlx::pool::PoolConnection<sqlx::Postgres>>, Failure> {
        let lock = PgAdvisoryLock::with_key(PgAdvisoryLockKey::BigInt(key));
        Ok(lock.acquire(self.pool.acquire().await?).await?)
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

impl Pair for Sqlx {
    async fn pair(&self, key: i64) -> Result<(), Failure> {
        self.acquire(key).await?.release_now().await?;
        Ok(())
    }
}

pub(super) fn caller(
    name: &'static str,
    url: &str,
    ping: bool,
) -> Result<Box<dyn OneCaller>, Failure> {
    let runtime = runtime();
    Ok(Box::new(Awaiting {
        name,
        side: runtime.block_on(Sqlx::connect(url, 16, ping))?,
        runtime,
    }))
}
