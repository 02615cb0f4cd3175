//! `#[pglock::leader]`: what it takes, what it refuses, and what it becomes.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, FnArg, PatType, Path, ReceiverKind, Result};

use super::{Attribute, named_lock, run_again};
use crate::catalog::AnnotatedSite;
use crate::function::{Function, local, names_of};
use crate::options::duration::{DurationArg, Hints};
use crate::options::lock_id::LockId;
use crate::options::on_error::OnError;
use crate::options::parse::{self, NamedOption, Options, Spanned, parse_options};
use crate::options::shared::SharedOptions;

const OPTIONS: &Options<Args> = &[
    ("lock_id", "lock_id = \"scheduler\"", |args, option| {
        option.value(&mut args.lock_id, LockId::new)
    }),
    ("restart", "restart = \"1s\"", |args, option| {
        option.value(&mut args.restart, |value| {
            DurationArg::above_zero("restart", &RESTART, value)
        })
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
    ("fenced", "", has_no_token),
    ("dedicated", "", is_by_hand),
    ("once_in", "", has_terms),
    ("hold_at_least", "", has_terms),
    ("hold_at_most", "", has_terms),
    ("reentrant", "", has_terms),
];

fn refuse(option: &NamedOption<'_>, why: &str) -> Result<()> {
    let name = &option.name;
    Err(Error::new(
        name.span(),
        format!("{why}: remove `{name}`, or use `#[pglock::advisory]`"),
    ))
}

fn waits(_: &mut Args, option: &NamedOption<'_>) -> Result<()> {
    refuse(option, "a process that does not lead waits until it does")
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

fn has_no_token(_: &mut Args, option: &NamedOption<'_>) -> Result<()> {
    Err(Error::new(
        option.name.span(),
        "a leader has no `fenced`: by hand each term has a token, with `pglock::advisory(\"scheduler\").fenced().lead(..)` and `pglock::token()` in the body; or take another lock that is `fenced` inside the body",
    ))
}

fn is_by_hand(_: &mut Args, option: &NamedOption<'_>) -> Result<()> {
    Err(Error::new(
        option.name.span(),
        "a leader has no `dedicated`: lead by hand, with `pglock::advisory(\"scheduler\").dedicated().lead(..)`",
    ))
}

fn has_terms(_: &mut Args, option: &NamedOption<'_>) -> Result<()> {
    refuse(
        option,
        "a leader keeps the lock for as long as its body runs",
    )
}

const RESTART: Hints = Hints {
    example: |duration| format!("restart = \"{duration}\""),
    least: "leave it out for one second",
    may_be_none: false,
};

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
        parse_options(input, OPTIONS, |args, value| {
            named_lock::set_positional(&mut args.lock_id, value, another_id)
        })
    }
}

/// What to write for a value without a name after the lock ID.
fn another_id(value: &Expr) -> String {
    parse::unknown_word(value, OPTIONS).unwrap_or_else(|| {
        let names = parse::names(OPTIONS);
        format!(
            "only the lock ID and the flag `restart_on_error` are written without `=`, and there is a lock ID already: write `name = value` with one of {names}"
        )
    })
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
        FnArg::Typed(argument) => run_again::validate_bindings("term", &argument.pat),
    };
    parse::combine(function.sig.inputs.iter().map(of_argument))
}

// Input:  #[cfg(unix)] socket: Socket
// Output: #[cfg(unix)] let socket = ::pglock::__rt::of_each_term(&socket);
fn clones(function: &Function, krate: &Path) -> TokenStream {
    let of_argument = |argument: &FnArg| match argument {
        FnArg::Receiver(_) => TokenStream::new(),
        FnArg::Typed(PatType { attrs, pat, .. }) => {
            // Where the argument is not there, its clone cannot be either.
            let cfgs: Vec<_> = attrs
                .iter()
                .filter(|it| it.path().is_ident("cfg"))
                .collect();
            let of_name = |name: &Ident| quote_spanned!(name.span()=> #(#cfgs)* let #name = #krate::__rt::of_each_term(&#name););
            names_of(pat).into_iter().map(of_name).collect()
        }
    };
    function.sig.inputs.iter().map(of_argument).collect()
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
            named_lock::validate("leader(", self.lock_id.as_ref(), function),
            named_lock::refuse_several(self.lock_id.as_ref(), "a leader has one lock"),
            validate_arguments(function),
            match &self.using {
                Some(using) => {
                    run_again::validate_borrowed("term", "using", &using.value, function)
                }
                None => Ok(()),
            },
            match self.lock_id.as_ref().map(|lock_id| &lock_id.value) {
                Some(LockId::Expression(id)) => {
                    run_again::validate_borrowed("term", "lock_id", id, function)
                }
                _ => Ok(()),
            },
            OnError::validate(self.shared_options.on_error(), function),
        ])
    }

    // Expansion: expansions/leader.rs
    fn expand(&self, function: &Function, body: &TokenStream) -> TokenStream {
        let krate = self.shared_options.krate_at(proc_macro2::Span::call_site());
        let site = AnnotatedSite::new("leader").id(named_lock::annotated(self.lock_id.as_ref()));
        let (registration, mut lock) =
            named_lock::expand(self.lock_id.as_ref(), &site, function, &krate);
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
        let clones = clones(function, &krate);
        let body = function.future(body);
        // A borrowed argument would have to be `Sync` for a future that is `Send`. A handler may have borrowed one before.
        let by_value = match self.shared_options.on_error() {
            None | Some(OnError::Panic) => Some(quote!(move)),
            Some(OnError::Handler(_)) => None,
        };
        quote! {
            #registration
            let #leader = #builder;
            let #on_error = #handler;
            #krate::__rt::lead(#leader, #by_value || { #clones #body }, #failed, #on_error).await
        }
    }
}
