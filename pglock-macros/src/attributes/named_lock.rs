//! The advisory lock that an attribute names, by `lock_id` or after its function.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Error, Expr, Path, Result};

use crate::catalog::AnnotatedSite;
use crate::function::Function;
use crate::options::lock_id::LockId;
use crate::options::parse::Spanned;

/// Reads a lock ID that is written without a name. `another` says what to write instead of a second one.
pub(crate) fn set_positional(
    lock_id: &mut Option<Spanned<LockId>>,
    value: Expr,
    another: impl FnOnce(&Expr) -> String,
) -> Result<()> {
    if lock_id.is_some() {
        let message = another(&value);
        return Err(Error::new_spanned(value, message));
    }
    let span = value.span();
    *lock_id = Some(Spanned {
        value: LockId::new(value)?,
        span,
    });
    Ok(())
}

/// `attribute` is what is written of the attribute before the lock ID.
pub(crate) fn validate(
    attribute: &str,
    lock_id: Option<&Spanned<LockId>>,
    function: &Function,
) -> Result<()> {
    match (lock_id, function.sig.receiver()) {
        (Some(lock_id), _) => lock_id.value.validate(function),
        (None, None) => Ok(()),
        (None, Some(receiver)) => Err(Error::new_spanned(
            receiver,
            format!(
                "a method needs a lock ID, as in `#[pglock::{attribute}\"{}\")]`: without one, methods of this name on two types would share a lock",
                function.sig.ident.unraw()
            ),
        )),
    }
}

/// Refuses several locks where there can be one only.
pub(crate) fn refuse_several(lock_id: Option<&Spanned<LockId>>, why: &str) -> Result<()> {
    match lock_id {
        Some(Spanned {
            value: LockId::All(_),
            span,
        }) => Err(Error::new(
            *span,
            format!("{why}: write one lock ID instead of `all(..)`"),
        )),
        _ => Ok(()),
    }
}

/// What the catalog says of the ID.
pub(crate) fn annotated(lock_id: Option<&Spanned<LockId>>) -> Option<TokenStream> {
    match lock_id {
        None => Some(quote!(Function)),
        Some(lock_id) => lock_id.value.annotated(),
    }
}

/// The builder of the lock, and what registers the function where that is not part of it: a lock that is named after its
/// function is made of what registers it, so that another one of the same name is found.
// Expansion: expansions/options.rs, expansions/default_id.rs
pub(crate) fn expand(
    lock_id: Option<&Spanned<LockId>>,
    site: &AnnotatedSite,
    function: &Function,
    krate: &Path,
) -> (TokenStream, TokenStream) {
    let Some(Spanned { value, span }) = lock_id else {
        let registration = site.registration(function, krate);
        let builder = quote!({ #registration #krate::__rt::advisory_at(&SITE) });
        return (TokenStream::new(), builder);
    };
    let id = value.expand(function, krate);
    let label = value.expand_label(function);
    let advisory = if let LockId::All(_) = value {
        quote_spanned!(*span=> #krate::__rt::advisory_all(#id))
    } else {
        quote_spanned!(*span=> #krate::__rt::advisory(#id))
    };
    let registration = site.hidden_registration(function, krate);
    (registration, quote!(#advisory.label(#label)))
}
