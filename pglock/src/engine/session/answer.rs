//! Bounds on how long the server may take to answer.

use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::Session;
use crate::model::liveness::Liveness;

/// The number of parts a bound is divided into.
const PARTS: u32 = 10;

pub(crate) const SILENT: &str = "the server was silent for longer than the heartbeat allows";

/// The future's value, or `None` after `bound`. Time in which this process was stopped counts as one part at most, so
/// an answer that arrived meanwhile is still read.
pub(in crate::engine) async fn within<T>(
    bound: Duration,
    future: impl Future<Output = T>,
) -> Option<T> {
    let mut future = pin!(future);
    let part = bound / PARTS;
    let mut parts = 0;
    loop {
        let began = Instant::now();
        tokio::select! {
            biased;
            value = &mut future => return Some(value),
            () = tokio::time::sleep(part) => parts += 1,
        }
        let was_in_time = began.elapsed() < 2 * part;
        if parts >= PARTS && was_in_time {
            return None;
        }
    }
}

/// Bounds a short conversation like a single answer, and gives the session up if there is none.
pub(in crate::engine) async fn answered<T>(
    session: &Rc<Session>,
    liveness: Liveness,
    future: impl Future<Output = T>,
) -> Option<T> {
    let answer = within(liveness.answer(), future).await;
    if answer.is_none() {
        session.give_up(SILENT, liveness.grace());
    }
    answer
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;
    use tokio::task::LocalSet;

    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        LocalSet::new().block_on(&runtime, future)
    }

    #[test]
    fn an_answer_that_came_while_the_process_was_stopped_in_the_last_part_is_read() {
        let answer = run(async {
            let (sender, answer) = oneshot::channel();
            tokio::task::spawn_local(async {
                tokio::time::sleep(Duration::from_millis(960)).await;
                std::thread::sleep(Duration::from_millis(500));
                // The task that reads the socket is not the one that waits for the answer.
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
                let _ = sender.send("it came");
            });
            within(Duration::from_secs(1), answer).await
        });
        assert_eq!(answer, Some(Ok("it came")));
    }

    #[test]
    fn no_answer_is_none_after_the_bound() {
        let began = Instant::now();
        let answer = run(within(
            Duration::from_millis(50),
            std::future::pending::<()>(),
        ));
        assert!(answer.is_none() && began.elapsed() >= Duration::from_millis(50));
    }
}
