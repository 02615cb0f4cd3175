//! The background half of `prioritize`: finds the sessions that block a section, and signals them.

mod blocked;
mod connection;
mod options;
mod policy;
mod poll;
mod report;
mod section;
mod sections;
mod side_effect;
mod sql;

pub(crate) use options::SectionOptions;
pub(crate) use policy::{Escalation, SignalPolicy};
pub(crate) use section::SectionHandle;

pub use blocked::Blocked;
pub use report::{Blocker, BlockerAction, PrioritizeReport, Spared};
pub use side_effect::PrioritizeSideEffect;
