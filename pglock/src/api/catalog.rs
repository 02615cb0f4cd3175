//! The annotated functions with a default lock ID: each registers itself at link time.

use crate::error::Error;

/// An annotated function with a default lock ID.
#[derive(Debug)]
pub struct AnnotatedFn {
    id: &'static str,
    file: &'static str,
    line: u32,
    column: u32,
}

/// An entry of the list that the linker builds.
#[derive(Debug)]
pub struct Registration(pub &'static AnnotatedFn);

inventory::collect!(Registration);

impl AnnotatedFn {
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

    fn location(&self) -> String {
        format!("{}:{}:{}", self.file, self.line, self.column)
    }

    /// Refuses an ID that another function has too: the two would exclude each other by accident.
    pub(crate) fn refuse_duplicate(&'static self) -> Result<(), Error> {
        let other = inventory::iter::<Registration>()
            .map(|registration| registration.0)
            .find(|function| function.id == self.id && !std::ptr::eq(*function, self));
        match other {
            None => Ok(()),
            Some(other) => Err(Error::config(format!(
                "two functions have the default lock id {:?}, at {} and at {}; give one of them a `lock_id`",
                self.id,
                self.location(),
                other.location()
            ))),
        }
    }
}
