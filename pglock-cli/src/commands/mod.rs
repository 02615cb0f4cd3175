//! What each command does.

pub(crate) mod act;
pub(crate) mod doctor;
pub(crate) mod guard;
pub(crate) mod look;
pub(crate) mod process;
pub(crate) mod run;
pub(crate) mod set_up;
pub(crate) mod signals;
#[cfg(feature = "watch")]
pub(crate) mod watch;
