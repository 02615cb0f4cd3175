//! Default lock IDs: each annotated function that has one registers itself at link time.

use crate::error::Error;

/// An annotated function with a default lock ID.
#[derive(Debug)]
pub struct Site {
    id: &'static str,
    file: &'static str,
    line: u32,
    column: u32,
}

/// A [`Site`] in the list that the linker makes.
#[derive(Debug)]
pub struct Registered(pub &'static Site);

inventory::collect!(Registered);

impl Site {
    /// `id` is the function's path.
    #[must_use]
    pub const fn new(id: &'static str, file: &'static str, line: u32, column: u32) -> Self {
        Self {
            id,
            file,
            line,
            column,
        }
    }

    pub(crate) fn id(&self) -> &'static str {
        self.id
    }

    fn place(&self) -> String {
        format!("{}:{}:{}", self.file, self.line, self.column)
    }

    /// Refuses an ID that another function has too: the two would exclude each other by accident.
    pub(crate) fn refuse_duplicate(&'static self) -> Result<(), Error> {
        let other = inventory::iter::<Registered>()
            .map(|registered| registered.0)
            .find(|site| site.id == self.id && !std::ptr::eq(*site, self));
        match other {
            None => Ok(()),
            Some(other) => Err(Error::config(format!(
                "two functions have the default lock id {:?}, at {} and at {}; give one of them a `lock_id`",
                self.id,
                self.place(),
                other.place()
            ))),
        }
    }
}
