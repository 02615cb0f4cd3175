//! Bodies that run more than once: each run has the arguments anew.

use syn::{Error, Expr, Pat, Result};

use crate::function::{Function, bindings_of};
use crate::options::parse;
use crate::types;

/// Refuses `mut`: each `run`, a term or a try, has a clone of the argument.
pub(super) fn validate_bindings(run: &str, argument: &Pat) -> Result<()> {
    let bindings = bindings_of(argument).into_iter();
    parse::combine(bindings.map(|binding| match &binding.mutability {
        None => Ok(()),
        Some(mutable) => Err(Error::new_spanned(
            mutable,
            format!("each {run} gets a clone of this argument: leave out `mut`, and write `let mut name = name;` in the body"),
        )),
    }))
}

/// Refuses an option that would take an argument, of which each `run` needs a clone.
pub(super) fn validate_borrowed(
    run: &str,
    option: &str,
    value: &Expr,
    function: &Function,
) -> Result<()> {
    let takes = parse::word(value).filter(|name| {
        let ty = function.typed_argument(name).map(|(_, ty)| ty);
        ty.is_some_and(|ty| !types::has_nothing_to_drop(ty))
    });
    match takes {
        Some(name) => Err(Error::new_spanned(
            value,
            format!("each {run} needs this argument: write `{option} = &{name}`"),
        )),
        None => Ok(()),
    }
}
