//! Looking: nothing here changes anything.

mod fields;
pub(crate) mod id;
pub(crate) mod limits;
pub(crate) mod ls;
pub(crate) mod names;
pub(crate) mod query;
pub(crate) mod tree;
pub(crate) mod who;
