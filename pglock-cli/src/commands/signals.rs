//! Signals to this process: `run` passes them on, and `watch` leaves the terminal as it was before it ends.

use std::future::poll_fn;
use std::task::Poll;

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind};

use crate::failure::Failure;

pub(crate) const TERM: Signal = Signal::TERM;
pub(crate) const KILL: Signal = Signal::KILL;
pub(crate) const CONT: Signal = Signal::CONT;

/// Each with whether it ends a process by default.
const ALL: [(Signal, bool); 8] = [
    (Signal::TERM, true),
    (Signal::INT, true),
    (Signal::HUP, true),
    (Signal::QUIT, true),
    (Signal::USR1, true),
    (Signal::USR2, true),
    (Signal::WINCH, false),
    (Signal::CONT, false),
];

/// Those that a terminal sends to all of the group that it has. Not HUP, which only the leader of the session gets when the
/// terminal goes away.
pub(crate) fn is_of_terminal(signal: Signal) -> bool {
    [Signal::INT, Signal::QUIT, Signal::WINCH, Signal::CONT].contains(&signal)
}

pub(crate) struct Signals(Vec<(Signal, unix::Signal)>);

impl Signals {
    pub(crate) fn listen() -> Result<Self, Failure> {
        let listen = |(signal, _): (Signal, bool)| {
            let heard = unix::signal(SignalKind::from_raw(signal.as_raw()));
            let heard = heard
                .map_err(|error| Failure::new(format!("cannot listen to signals: {error}")))?;
            Ok((signal, heard))
        };
        ALL.into_iter()
            .map(listen)
            .collect::<Result<_, Failure>>()
            .map(Self)
    }

    pub(crate) async fn next(&mut self) -> Signal {
        poll_fn(|cx| {
            for (signal, heard) in &mut self.0 {
                if let Poll::Ready(Some(())) = heard.poll_recv(cx) {
                    return Poll::Ready(*signal);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// The number of the next signal that would end this process.
    pub(crate) async fn next_that_ends(&mut self) -> u8 {
        loop {
            let signal = self.next().await;
            if ends(signal) {
                return number(signal);
            }
        }
    }
}

/// Whether somebody who sends it wants an end. USR1 and USR2 mean what the command makes of them.
pub(crate) fn asks_for_end(signal: Signal) -> bool {
    [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT].contains(&signal)
}

/// Whether it would end this process, if nobody listened.
pub(crate) fn ends(signal: Signal) -> bool {
    ALL.contains(&(signal, true))
}

pub(crate) fn number(signal: Signal) -> u8 {
    u8::try_from(signal.as_raw()).unwrap_or(0)
}
