//! `#[pglock::leader]`: what it takes, what it refuses, and what it becomes.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned as _;
use syn::{Error, Expr, FnArg, ReceiverKind, Result};

use super::{Attribute, named_lock};
use crate::catalog::CatalogEntry;
use crate::function::{Function, local, names_of};
use crate::options::duration::{DurationArg, Hints};
use crate::options::lock_id::LockId;
use crate::options::on_error::OnError;
use crate::options::parse::{self, NamedOption, Options, Spanned, parse_options};
use crate::options::shared::SharedOptions;
use crate::types;

const OPTIONS: &Options<Args> = &[
    ("lock_id", "lock_id = \"scheduler\"", |args, option| {
        option.value(&mut args.lock_id, LockId::new)
    }),
    ("restart", "restart = \"1s\"", |args, option| {
        option.value(&mut args.restart, restart)
    }),
    ("restart_on_error", "restart_on_error", |args, option| {
        option.flag(&mut args.restart_on_error)
    }),
    ("using", "using = \"reports\"", |args, option| {
        option.value(&mut args.using, Ok)
    }),
    ("on_error", "on_error = Panic", |args, option| {
        option.value(&mut args.shared_options.on_error, OnError::new)
    }),
    ("crate", "crate = my_crate::pglock", |args, option| {
        option.path(&mut args.shared_options.krate)
    }),
    ("timeout", "", waits),
    ("side_effect", "", waits),
    ("client", "", on_own_session),
    ("xact", "", on_own_session),
    ("shared", "", is_alone),
];

fn refuse(option: &NamedOption<'_>, why: &str) -> Result<()> {
    let name = &option.name;
    Err(Error::new(
        name.span(),
        format!("{why}: remove `{name}`, or use `#[pglock::advisory]`"),
    ))
}

fn waits(_: &mut Args, option: &NamedOption<'_>) -> Result<()> {
    refuse(option, "who does not lead waits until it does")
}

fn on_own_session(_: &mut Args, option: &NamedOption<'_>) -> Result<()> {
    refuse(
        option,
        "a leader's lock is on a session of pglock's own, and taken again when it was lost",
    )
}

fn is_alone(_: &mut Args, option: &NamedOption<'_>) -> Result<()> {
    refuse(option, "one leads at a time")
}

const RESTART: Hints = Hints {
    example: |duration| format!("restart = \"{duration}\""),
    least: "leave it out for one second",
    may_be_none: false,
};

fn restart(value: Expr) -> Result<DurationArg> {
    match DurationArg::new(&RESTART, value.clone())? {
        DurationArg::Unlimited => Err(Error::new_spanned(
            value,
            "the pause cannot be `None`: write a duration such as `\"1s\"`, or leave it out for one second",
        )),
        DurationArg::Literal(pause) if pause.is_zero() => Err(Error::new_spanned(
            value,
            "the pause cannot be zero: write `\"1ms\"` or more, or leave it out for one second",
        )),
        pause => Ok(pause),
    }
}

/// Reads the attribute's arguments.
pub(crate) fn read(arguments: TokenStream) -> Result<Box<dyn Attribute>> {
    let args: Args = syn::parse2(arguments)?;
    Ok(Box::new(args))
}

#[derive(Default)]
struct Args {
    lock_id: Option<Spanned<LockId>>,
    restart: Option<Spanned<DurationArg>>,
    restart_on_error: Option<Spanned<bool>>,
    using: Option<Spanned<Expr>>,
    shared_options: SharedOptions,
}

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        parse_options(input, OPTIONS, Self::set_lock_id)
    }
}

impl Args {
    fn set_lock_id(&mut self, value: Expr) -> Result<()> {
        if self.lock_id.is_some() {
            let names = parse::names(OPTIONS);
            return Err(Error::new_spanned(
                value,
                format!(
                    "only the lock ID is written without a name, and there is one already: write `name = ..` with one of {names}"
                ),
            ));
        }
        let span = value.span();
        self.lock_id = Some(Spanned {
            value: LockId::new(value)?,
            span,
        });
        Ok(())
    }
}

/// The body begins anew in each term, with a clone of each argument.
fn validate_arguments(function: &Function) -> Result<()> {
    let of_argument = |argument: &FnArg| match argument {
        FnArg::Receiver(receiver) => match &receiver.kind {
            ReceiverKind::Reference(_, _, None) => Ok(()),
            _ => Err(Error::new_spanned(
                receiver,
                "the body begins anew in each term, and cannot take `self` again: write `&self`",
            )),
        },
        FnArg::Typed(argument) => match mutable(argument.pat.to_token_stream()) {
            Some(mutable) => Err(Error::new_spanned(
                mutable,
                "each term gets a clone of this argument: leave out `mut`, and write `let mut name = name;` in the body",
            )),
            None => Ok(()),
        },
    };
    parse::combine(function.sig.inputs.iter().map(of_argument))
}

/// The first `mut` of a pattern that is not that of a `&mut`.
pub(super) fn mutable(pattern: TokenStream) -> Option<TokenTree> {
    let mut is_reference = false;
    for token in pattern {
        match token {
            TokenTree::Group(group) => {
                let inside = mutable(group.stream());
                if inside.is_some() {
                    return inside;
                }
                is_reference = false;
            }
            TokenTree::Ident(word) if word == "mut" && !is_reference => {
                return Some(TokenTree::Ident(word));
            }
            token => is_reference = matches!(&token, TokenTree::Punct(it) if it.as_char() == '&'),
        }
    }
    None
}

/// Refuses an option that would take an argument, of which each `run` of the body needs a clone.
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

/// The arguments by the names that the body has for them.
fn arguments(function: &Function) -> Vec<&Ident> {
    let typed = function
        .sig
        .inputs
        .iter()
        .filter_map(|argument| match argument {
            FnArg::Receiver(_) => None,
            FnArg::Typed(argument) => Some(&*argument.pat),
        });
    typed.flat_map(names_of).collect()
}

impl Attribute for Args {
    fn shared_options(&self) -> &SharedOptions {
        &self.shared_options
    }

    fn has_default_id(&self) -> bool {
        self.lock_id.is_none()
    }

    fn validate(&self, function: &Function) -> Result<()> {
        let is_async = match function.sig.asyncness {
            Some(_) => Ok(()),
            None => Err(Error::new_spanned(
                function.sig.fn_token,
                "a blocking body cannot be stopped when the lock is lost: make this an `async fn`, or use `#[pglock::advisory]` and call `pglock::check()` in the body",
            )),
        };
        parse::combine([
            is_async,
            named_lock::validate("leader", self.lock_id.as_ref(), function),
            validate_arguments(function),
            match &self.using {
                Some(using) => validate_borrowed("term", "using", &using.value, function),
                None => Ok(()),
            },
            match self.lock_id.as_ref().map(|lock_id| &lock_id.value) {
                Some(LockId::Expression(id)) => validate_borrowed("term", "lock_id", id, function),
                _ => Ok(()),
            },
            OnError::validate(self.shared_options.on_error(), function),
        ])
    }

    // Expansion: expansions/leader.rs
    fn expand(&self, function: &Function, body: &TokenStream) -> TokenStream {
        let krate = self.shared_options.krate_at(proc_macro2::Span::call_site());
        let entry = CatalogEntry::new("leader").id(named_lock::annotated(self.lock_id.as_ref()));
        let (site, mut lock) = named_lock::expand(self.lock_id.as_ref(), &entry, function, &krate);
        if let Some(Spanned { value, .. }) = &self.using {
            lock = quote!(#lock.using(#value));
        }
        let mut builder = quote!(#krate::__rt::leader_by(#lock));
        if let Some(Spanned { value, .. }) = &self.restart {
            let pause = value.expand();
            builder = quote!(#builder.restart(#pause));
        }
        if let Some(Spanned { value, .. }) = &self.restart_on_error {
            builder = quote!(#builder.restart_on_error(#value));
        }
        let (leader, on_error) = (local("leader"), local("on_error"));
        let handler = OnError::expand(self.shared_options.on_error(), function, &krate);
        let failed = OnError::expand_failed(self.shared_options.on_error(), function, &krate);
        let clones = arguments(function).into_iter().map(
            |name| quote_spanned!(name.span()=> let #name = #krate::__rt::of_each_term(&#name);),
        );
        let body = function.future(body);
        // A borrowed argument would have to be `Sync` for a future that is `Send`. A handler may have borrowed one before.
        let by_value = match self.shared_options.on_error() {
            None | Some(OnError::Panic) => Some(quote!(move)),
            Some(OnError::Handler(_)) => None,
        };
        quote! {
            #site
            let #leader = #builder;
            let #on_error = #handler;
            #krate::__rt::lead(#leader, #by_value || { #(#clones)* #body }, #failed, #on_error).await
        }
    }
}
