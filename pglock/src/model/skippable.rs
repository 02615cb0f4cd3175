//! Return values that can express "skipped".

/// A return type that can express that the function did not run, for `side_effect = Skip`.
///
/// The value is `()` for `()`, `None` for `Option<T>`, and `Ok(T::skipped())` for `Result<T, E>`. Implement it for your own
/// types, or write the value in the attribute: `side_effect = Skip(value)`.
///
/// ```
/// use pglock::Skippable;
///
/// #[derive(Debug, PartialEq)]
/// enum Outcome { Done, Skipped }
///
/// impl Skippable for Outcome {
///     fn skipped() -> Self { Outcome::Skipped }
/// }
///
/// assert_eq!(Result::<Outcome, std::fmt::Error>::skipped(), Ok(Outcome::Skipped));
/// assert_eq!(Option::<u32>::skipped(), None);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot express that the function was skipped",
    label = "`side_effect = Skip` has no value to return for this type",
    note = "return `Result<Option<T>, E>` or `Result<(), E>`, or write the value to return: `side_effect = Skip(value)`",
    note = "or implement `pglock::Skippable` for it"
)]
pub trait Skippable {
    /// The value of a call that was skipped.
    fn skipped() -> Self;
}

impl Skippable for () {
    fn skipped() -> Self {}
}

impl<T> Skippable for Option<T> {
    fn skipped() -> Self {
        None
    }
}

impl<T: Skippable, E> Skippable for Result<T, E> {
    fn skipped() -> Self {
        Ok(T::skipped())
    }
}
