//! What the server still runs for the command when the command has ended. The server does not notice that a client is gone while
//! it runs a statement or waits, so a migration whose client was ended would go on, with its locks.

use std::time::Duration;

use pglock::{Blocker, BlockerAction, Spared};
use tokio_postgres::Client;

use crate::failure::Failure;
use crate::show;
use crate::text;

/// For how long it is looked whether statements that were canceled have ended.
const BOUND: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What the sessions of this application have and wait for.
fn query(application: &str) -> Result<pglock::Locks, Failure> {
    let query = pglock::locks().filter(format!("activity__application_name={application}"))?;
    Ok(query)
}

/// The same of those that run a statement, as far as this role sees that.
fn query_active(application: &str) -> Result<pglock::Locks, Failure> {
    Ok(query(application)?.filter("activity__state=ACTIVE")?)
}

/// Cancels them, and waits until they have ended.
pub(super) async fn cancel(
    client: &mut Client,
    application: &str,
    quiet: bool,
) -> Result<(), Failure> {
    let canceled = query(application)?
        .report()
        .cancel_activity_async(client)
        .await?;
    // One that is idle notices by itself that its client is gone.
    let still = |action: BlockerAction| {
        let is_over = [Spared::Idle, Spared::Gone].map(BlockerAction::Spared);
        !is_over.contains(&action)
    };
    let canceled: Vec<Blocker> = canceled
        .into_iter()
        .filter(|session| still(session.action))
        .collect();
    for session in &canceled {
        if !quiet {
            show::say(&format!(
                "pglock: the command has ended, but not its statement: {}",
                text::one_line(&session.to_string())
            ));
        }
    }
    let pids: Vec<i32> = canceled.iter().map(|session| session.pid).collect();
    if pids.is_empty() {
        return Ok(());
    }
    let began = tokio::time::Instant::now();
    loop {
        let running = query_active(application)?.pid(pids.iter().copied());
        let running = running.fetch_async(client).await?;
        let Some(lock) = running.first() else {
            return Ok(());
        };
        if began.elapsed() >= BOUND {
            let pid = lock.activity.pid;
            return Err(Failure::new(format!(
                "pid {pid} still runs a statement of the command; `pglock terminate {pid}` ends its session"
            )));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Whom the caller should look at, where the application's name may be that of others, too.
pub(super) async fn running(client: &mut Client, application: &str) -> Result<Vec<i32>, Failure> {
    let mut pids: Vec<i32> = query_active(application)?
        .fetch_async(client)
        .await?
        .into_iter()
        .map(|lock| lock.activity.pid)
        .collect();
    pids.sort_unstable();
    pids.dedup();
    Ok(pids)
}
