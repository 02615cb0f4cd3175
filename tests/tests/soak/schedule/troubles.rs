//! What is done to the workers, and when.

use std::time::Duration;

use fastrand::Rng;

use super::micros;

/// Which session is terminated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    Holder,
    Waiter,
    /// That of pglock's own with the most locks: the one that is shared.
    Crowded,
    Anyone,
}

/// What is done to the workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// A session is terminated, the one of that number among those that there are then.
    Terminate { victim: Victim, number: usize },
    /// The process in that place is killed, and another one takes its place.
    Kill { place: usize },
    /// It is stopped for a time; meanwhile a session of its own is terminated, or not.
    Freeze {
        place: usize,
        number: Option<usize>,
        time: Duration,
    },
    /// The server is stopped as by an administrator, and started again.
    Stop { time: Duration },
    /// It crashes, and is started again.
    Crash { time: Duration },
    /// The statements of all sessions are canceled, over and over.
    Cancel { time: Duration },
    /// The server's lock table is full.
    Fill { time: Duration },
}

/// The end of a round, in which nothing is done to the workers: what they leave behind is not cleared away by a fault.
const QUIET: Duration = Duration::from_secs(3);

/// What is done in a round of that length, and how long after its begin.
pub(crate) fn troubles(rng: &mut Rng, length: Duration, places: usize) -> Vec<(Duration, Trouble)> {
    let mut at = Duration::ZERO;
    let mut moments = Vec::new();
    loop {
        at += micros(rng, 80_000..350_000);
        if at + QUIET >= length {
            break;
        }
        moments.push(at);
    }
    let mut troubles: Vec<_> = moments.iter().map(|_| any_trouble(rng, places)).collect();
    // One of each in every round: the other ones come often enough by themselves.
    let time = micros(rng, 0..200_000);
    let restarts = [Trouble::Stop { time }, Trouble::Crash { time }];
    for (place, restart) in troubles.iter_mut().zip(restarts) {
        *place = restart;
    }
    rng.shuffle(&mut troubles);
    moments.into_iter().zip(troubles).collect()
}

fn any_trouble(rng: &mut Rng, places: usize) -> Trouble {
    let number = rng.usize(..);
    let place = rng.usize(..places);
    match rng.u8(..100) {
        0..24 => Trouble::Terminate {
            victim: Victim::Holder,
            number,
        },
        24..35 => Trouble::Terminate {
            victim: Victim::Waiter,
            number,
        },
        35..48 => Trouble::Terminate {
            victim: Victim::Crowded,
            number,
        },
        48..54 => Trouble::Terminate {
            victim: Victim::Anyone,
            number,
        },
        54..66 => Trouble::Kill { place },
        66..80 => Trouble::Freeze {
            place,
            number: rng.bool().then_some(number),
            time: micros(rng, 1_000..300_000),
        },
        80..92 => Trouble::Cancel {
            time: micros(rng, 0..60_000),
        },
        _ => Trouble::Fill {
            time: micros(rng, 10_000..200_000),
        },
    }
}
