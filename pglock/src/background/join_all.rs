//! Several futures at once, as `futures_util::future::join_all`, for which its feature `alloc` and another crate would be needed.

use std::future::poll_fn;
use std::task::Poll;

/// Polls all until each has its result, and returns these in the same order.
pub(crate) async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut pending: Vec<_> = futures.into_iter().map(|it| Some(Box::pin(it))).collect();
    let mut results: Vec<_> = pending.iter().map(|_| None).collect();
    poll_fn(|cx| {
        for (future, result) in pending.iter_mut().zip(&mut results) {
            if let Some(unfinished) = future
                && let Poll::Ready(output) = unfinished.as_mut().poll(cx)
            {
                *result = Some(output);
                *future = None;
            }
        }
        if results.iter().all(Option::is_some) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::background::block_on;

    #[test]
    fn results_are_in_order_and_none_waits_for_the_one_before() {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let mut sender = Some(sender);
        let mut receiver = Some(receiver);
        let futures = (0..3).map(|nth| {
            let (receiver, sender) = match nth {
                0 => (receiver.take(), None),
                2 => (None, sender.take()),
                _ => (None, None),
            };
            async move {
                if let Some(sender) = sender {
                    sender.send(()).unwrap();
                }
                if let Some(receiver) = receiver {
                    receiver.await.unwrap();
                }
                nth
            }
        });
        assert_eq!(block_on(join_all(futures)), [0, 1, 2]);
        assert!(block_on(join_all(Vec::<std::future::Ready<()>>::new())).is_empty());
    }
}
