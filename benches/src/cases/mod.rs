//! The cases: one question each, answered by all sides in turns.

use pglock_tests::child;

use crate::report::Section;
use crate::sides::Failure;

mod compile_cost;
mod hand_over;
mod held;
mod index;
mod looking;
mod many_callers;
mod one_caller;
mod pair_costs;
mod start_up;
mod statement_costs;
mod take_over;
mod waiters;

/// How long a case may take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Effort {
    /// To see that it works.
    Quick,
    /// To have figures.
    Full,
}

impl Effort {
    fn pick<T>(self, quick: T, full: T) -> T {
        match self {
            Effort::Quick => quick,
            Effort::Full => full,
        }
    }
}

pub(crate) type Case = fn(Effort) -> Result<Section, Failure>;

pub(crate) const CASES: &[(&str, Case)] = &[
    ("one-caller", one_caller::run),
    ("pair-costs", pair_costs::run),
    ("many-callers", many_callers::run),
    ("held", held::run),
    ("statement-costs", statement_costs::run),
    ("waiters", waiters::run),
    ("start-up", start_up::run),
    ("hand-over", hand_over::run),
    ("take-over", take_over::run),
    ("index", index::run),
    ("looking", looking::run),
    ("compile-cost", compile_cost::run),
];

/// What this binary does when a case has started it again.
pub(crate) fn child(role: &str) {
    let url = child::argument("URL");
    let result = match role {
        WAITER => hand_over::waiter(&url, &child::argument("SIDE")),
        LEADER => take_over::leader(&url),
        _ => Err(format!("{role} is not a role of this program").into()),
    };
    if let Err(error) = result {
        eprintln!("bench: {role}: {error}");
        std::process::exit(1);
    }
}

/// The role of a process that waits for locks.
const WAITER: &str = "waiter";

/// The role of a process that leads.
const LEADER: &str = "leader";
