//! `#[pglock::retry]`: what it takes, what it refuses, and what it becomes.

use std::time::Duration;

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned as _;
use syn::{
    Error, Expr, ExprLit, ExprUnary, FnArg, Lit, Pat, Path, ReceiverKind, Result, Type, UnOp,
};

use super::Attribute;
use super::lock_timeouts::LockTimeout;
use super::prioritize::PrioritizeSideEffect;
use super::run_again;
use crate::arguments::{allow_hidden, is_word_in};
use crate::catalog::AnnotatedSite;
use crate::function::{Function, local, names_of};
use crate::options::client::Client;
use crate::options::duration::{DurationArg, Hints};
use crate::options::on_error::OnError;
use crate::options::parse::{self, NamedOption, Options, Spanned, parse_named_options};
use crate::options::shared::SharedOptions;
use crate::types;

const OPTIONS: &Options<Args> = &[
    ("tries", "tries = 20", |args, option| {
        option.value(&mut args.tries, |value| Count::new("tries", "20", value))
    }),
    ("longest", "longest = \"2s\"", |args, option| {
        option.value(&mut args.longest, longest)
    }),
    ("unbounded_last", "unbounded_last", |args, option| {
        option.flag(&mut args.unbounded_last)
    }),
    ("prioritize_from", "prioritize_from = 20", |args, option| {
        option.value(&mut args.prioritize_from, |value| {
            Count::new("prioritize_from", "20", value)
        })
    }),
    ("side_effect", "side_effect = Cancel", |args, option| {
        option.value(&mut args.side_effect, PrioritizeSideEffect::new)
    }),
    ("using", "using = \"reports\"", |args, option| {
        option.value(&mut args.using, Ok)
    }),
    ("client", "client = conn", |args, option| {
        option.value(&mut args.shared_options.client, Client::new)
    }),
    ("on_error", "on_error = Panic", |args, option| {
        option.value(&mut args.shared_options.on_error, OnError::new)
    }),
    ("crate", "crate = my_crate::pglock", |args, option| {
        option.path(&mut args.shared_options.krate)
    }),
    ("timeout", "", grows),
    ("lock_timeout", "", grows),
    ("interval", "", is_of_each_try),
    ("periodic", "", is_of_each_try),
];

fn grows(_: &mut Args, option: &NamedOption<'_>) -> Result<()> {
    Err(Error::new(
        option.name.span(),
        "each try has a lock timeout of its own, which grows from a tenth of a second: write `longest = \"2s\"` for the longest",
    ))
}

fn is_of_each_try(_: &mut Args, option: &NamedOption<'_>) -> Result<()> {
    let name = &option.name;
    Err(Error::new(
        name.span(),
        format!(
            "who is in the way is looked for in the middle of the wait of each try: remove `{name}`"
        ),
    ))
}

/// The number of tries where none is given: the runtime's.
const DEFAULT_TRIES: u32 = 41;

const LONGEST: Hints = Hints {
    example: |duration| format!("longest = \"{duration}\""),
    least: "leave it out for ten seconds",
    may_be_none: false,
};

fn longest(value: Expr) -> Result<DurationArg> {
    match DurationArg::new(&LONGEST, value.clone())? {
        DurationArg::Unlimited => Err(Error::new_spanned(
            value,
            "the longest lock timeout cannot be `None`: write a duration, and `unbounded_last` for a last try that waits without a limit",
        )),
        DurationArg::Literal(Duration::ZERO) => Err(Error::new_spanned(
            value,
            "Postgres takes a lock timeout of zero as no limit: write `\"1ms\"` or more, or leave it out for ten seconds",
        )),
        longest => Ok(longest),
    }
}

/// A number of tries, or that of a try.
enum Count {
    Literal(u32),
    /// Decided at run time.
    Expression(Expr),
}

impl Count {
    fn new(option: &str, example: &str, value: Expr) -> Result<Self> {
        let fail = |message: String| Err(Error::new_spanned(&value, message));
        let is_negative = |expr: &Expr| matches!(expr, Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) if matches!(parse::ungroup(expr), Expr::Lit(_)));
        match parse::ungroup(&value) {
            Expr::Lit(ExprLit {
                lit: Lit::Int(number),
                ..
            }) => match number.base10_parse() {
                Ok(0) if option == "tries" => fail(
                    "with no tries the body would never run: write `tries = 1` or more".to_owned(),
                ),
                Ok(0) => fail(format!(
                    "tries are counted from 1: write `{option} = 1` for all of them"
                )),
                Ok(number) => Ok(Self::Literal(number)),
                Err(_) => fail(format!(
                    "this is not a number of tries: write `{option} = {example}`"
                )),
            },
            literal if matches!(literal, Expr::Lit(_)) || is_negative(literal) => fail(format!(
                "this is not a number of tries: write `{option} = {example}`"
            )),
            _ => Ok(Self::Expression(value)),
        }
    }

    fn expand(&self) -> TokenStream {
        match self {
            Self::Literal(number) => quote!(#number),
            Self::Expression(value) => value.to_token_stream(),
        }
    }
}

/// Reads the attribute's arguments.
pub(crate) fn read(arguments: TokenStream) -> Result<Box<dyn Attribute>> {
    let args: Args = syn::parse2(arguments)?;
    Ok(Box::new(args))
}

#[derive(Default)]
struct Args {
    tries: Option<Spanned<Count>>,
    longest: Option<Spanned<DurationArg>>,
    unbounded_last: Option<Spanned<bool>>,
    prioritize_from: Option<Spanned<Count>>,
    side_effect: Option<Spanned<PrioritizeSideEffect>>,
    using: Option<Spanned<Expr>>,
    shared_options: SharedOptions,
}

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        parse_named_options(input, OPTIONS)
    }
}

impl Args {
    fn validate_prioritize(&self) -> Result<()> {
        let Some(from) = &self.prioritize_from else {
            return match &self.side_effect {
                None => Ok(()),
                Some(side_effect) => Err(Error::new(
                    side_effect.span,
                    "the side effect is for who is in the way of later tries: add `prioritize_from = 20`, or the number of another try",
                )),
            };
        };
        let tries = match self.tries.as_ref().map(|tries| &tries.value) {
            None => DEFAULT_TRIES,
            Some(Count::Literal(tries)) => *tries,
            Some(Count::Expression(_)) => return Ok(()),
        };
        match from.value {
            Count::Literal(number) if number > tries => Err(Error::new(
                from.span,
                format!(
                    "there are {tries} tries: write a lower number here, or a higher one for `tries`"
                ),
            )),
            Count::Literal(_) | Count::Expression(_) => Ok(()),
        }
    }

    /// The body runs once per try, with a clone of each argument but the connection, and with another borrow of each `&mut`.
    fn validate_arguments(&self, function: &Function) -> Result<()> {
        let client = self.shared_options.named_or_only(function).ok();
        // Where it is missing, that is said, and it may be a place in `self`.
        let is_place = !matches!(client, Some(Client::Argument(_)));
        let of_argument = |argument: &FnArg| match argument {
            FnArg::Receiver(receiver) => match &receiver.kind {
                ReceiverKind::Reference(_, _, None) => Ok(()),
                ReceiverKind::Reference(_, _, Some(_)) if is_place => Ok(()),
                ReceiverKind::Reference(_, _, Some(_)) => Err(Error::new_spanned(
                    receiver,
                    "the body runs once per try, and cannot take `&mut self` again: write `&self`",
                )),
                _ => Err(Error::new_spanned(
                    receiver,
                    "the body runs once per try, and cannot take `self` again: write `&self`",
                )),
            },
            FnArg::Typed(argument)
                if is_client(client.as_ref(), function, &names_of(&argument.pat)) =>
            {
                Ok(())
            }
            FnArg::Typed(argument) => run_again::validate_bindings("try", &argument.pat),
        };
        parse::combine(function.sig.inputs.iter().map(of_argument))
    }

    fn builder(&self, function: &Function, krate: &Path) -> TokenStream {
        let label = function.path();
        let mut builder = quote!(#krate::__rt::retry_locks().label(#label));
        if let Some(Spanned { value, .. }) = &self.tries {
            let tries = value.expand();
            builder = quote!(#builder.tries(#tries));
        }
        if let Some(Spanned { value, .. }) = &self.longest {
            let longest = value.expand();
            builder = quote!(#builder.longest(#longest));
        }
        if let Some(Spanned { value, .. }) = &self.unbounded_last {
            builder = quote!(#builder.unbounded_last(#value));
        }
        if let Some(Spanned { value, .. }) = &self.prioritize_from {
            let from = value.expand();
            let side_effect = self.side_effect.as_ref().map_or_else(
                || quote!(#krate::__rt::Terminate),
                |side_effect| side_effect.value.expand(krate),
            );
            builder = quote!(#builder.prioritize_from(#from, #side_effect));
        }
        if let Some(Spanned { value, .. }) = &self.using {
            builder = quote!(#builder.using(#value));
        }
        builder
    }

    fn site(&self) -> AnnotatedSite {
        let side_effect = self
            .prioritize_from
            .as_ref()
            .and_then(|_| PrioritizeSideEffect::word(self.side_effect.as_ref()));
        let from = self.prioritize_from.as_ref().map(|from| &from.value);
        let literal = from.filter(|from| matches!(from, Count::Literal(_)));
        AnnotatedSite::new("retry")
            .side_effect(side_effect)
            .prioritize_from(literal.map(Count::expand))
    }
}

/// Refuses a side effect that would take an argument, of which each try needs a clone.
fn validate_cloned(side_effect: &Expr, function: &Function) -> Result<()> {
    match parse::word(side_effect).filter(|name| function.typed_argument(name).is_some()) {
        Some(name) => Err(Error::new_spanned(
            side_effect,
            format!("each try needs this argument: write `side_effect = {name}.clone()`"),
        )),
        None => Ok(()),
    }
}

/// Whether one of these names is that of the connection, or of what its place begins with.
fn is_client(client: Option<&Client>, function: &Function, names: &[&Ident]) -> bool {
    client.is_some_and(|client| names.contains(&&client.name(function)))
}

/// What is done with the arguments, apart from the connection.
struct Arguments {
    /// Before the tries: the function takes what it is given, also if the body only gets clones of that.
    taken: TokenStream,
    /// In each try.
    of_each_try: TokenStream,
}

// Input:  fn migrate(conn: &mut Client, name: String, done: &mut u32)
// Output: let name = name;
//         let name = ::pglock::__rt::of_each_try(&name); let done = &mut *done;
//
// What an option names is used, also if the body does not use it, and may be borrowed by an `on_error`.
fn arguments(client: &Client, function: &Function, krate: &Path) -> Arguments {
    let options: String = function
        .around
        .iter()
        .map(|attribute| attribute.to_token_stream().to_string())
        .collect();
    let (mut taken, mut of_each_try) = (TokenStream::new(), TokenStream::new());
    for argument in &function.sig.inputs {
        let FnArg::Typed(argument) = argument else {
            continue;
        };
        let names = names_of(&argument.pat);
        if is_client(Some(client), function, &names) {
            continue;
        }
        let attributes = &argument.attrs;
        for name in names {
            let text = name.unraw().to_string();
            let hidden = allow_hidden(name);
            let is_mentioned = is_word_in(&options, &text);
            let one = match types::ungroup(&argument.ty) {
                Type::Reference(reference)
                    if reference.mutability.is_some() && matches!(*argument.pat, Pat::Ident(_)) =>
                {
                    quote_spanned!(name.span()=> &mut *#name)
                }
                _ => quote_spanned!(name.span()=> #krate::__rt::of_each_try(&#name)),
            };
            let used = is_mentioned.then(|| quote!(#(#attributes)* let _ = &#name;));
            of_each_try.extend(
                quote_spanned!(name.span()=> #(#attributes)* #hidden let #name = #one; #used),
            );
            if !is_mentioned && !types::has_nothing_to_drop(&argument.ty) {
                taken.extend(quote!(#(#attributes)* #hidden let #name = #name;));
            }
        }
    }
    Arguments { taken, of_each_try }
}

impl Attribute for Args {
    fn shared_options(&self) -> &SharedOptions {
        &self.shared_options
    }

    fn lock_timeout(&self, function: &Function) -> Option<LockTimeout<'_>> {
        Some(LockTimeout {
            client: self.shared_options.named_or_only(function),
            limit: None,
            needs: None,
            grows: true,
        })
    }

    fn validate(&self, function: &Function) -> Result<()> {
        parse::combine([
            self.shared_options.validate_on_client(function),
            self.validate_prioritize(),
            self.validate_arguments(function),
            match &self.using {
                Some(using) => run_again::validate_borrowed("try", "using", &using.value, function),
                None => Ok(()),
            },
            match self.side_effect.as_ref().map(|it| &it.value) {
                Some(PrioritizeSideEffect::Expression(value)) => validate_cloned(value, function),
                Some(PrioritizeSideEffect::Named(_)) | None => Ok(()),
            },
        ])
    }

    // Expansion: expansions/retry.rs, expansions/retry_async.rs
    fn expand(&self, function: &Function, body: &TokenStream) -> TokenStream {
        let Ok(client) = self.shared_options.named_or_only(function) else {
            // `validate` has reported why.
            return body.clone();
        };
        let krate = self.shared_options.krate_at(client.span());
        let site = self.site().hidden_registration(function, &krate);
        let builder = self.builder(function, &krate);
        let handler = OnError::expand(self.shared_options.on_error(), function, &krate);
        let Arguments { taken, of_each_try } = arguments(&client, function, &krate);
        let (tries, on_error, error) = (local("tries"), local("on_error"), local("error"));
        let (context, out) = (local("context"), local("out"));
        let returned = function.returned();
        // There for the reason that `OnError::expand` has.
        let outcome =
            quote_spanned!(returned.span()=> <#returned as #krate::__rt::Tried<_>>::outcome);
        let outcome = quote!(#outcome as fn(&_) -> _);
        let connection = client.reborrow(function);
        let span = client.span();
        let (enter, call, run, leave) = if function.sig.asyncness.is_some() {
            // It has the connection's name for the reason that `Wrapper::on_async_client` has.
            let call = client.name(function);
            let lent = quote_spanned!(span=> #krate::__rt::lend(&mut #call));
            let shadow = client.shadow(function, &lent);
            let body = function.future(body);
            (
                quote_spanned!(span=> #krate::__rt::enter_try_on_async(&mut #tries, #connection).await),
                quote!(mut #call),
                quote!(#shadow #of_each_try #krate::__rt::run_async_in(#context, #body).await),
                quote_spanned!(span=> #krate::__rt::leave_try_on_async(&mut #tries, #call, #out, #outcome).await),
            )
        } else {
            let call = local("call");
            let shadow = client.shadow(function, &client.lent(function));
            let body = function.closure(body);
            (
                quote_spanned!(span=> #krate::__rt::enter_try_on(&mut #tries, #connection)),
                quote!(#call),
                quote!(#shadow #of_each_try #krate::__rt::run_catching(#context, #body)),
                quote_spanned!(span=> #krate::__rt::leave_try_on(&mut #tries, #call, #connection, #out, #outcome)),
            )
        };
        quote! {
            #site
            #taken
            let mut #tries = #krate::__rt::tries_of(#builder);
            let #on_error = #handler;
            let #error = loop {
                match #enter {
                    ::core::result::Result::Ok((#call, #context)) => {
                        let #out = { #run };
                        match #leave {
                            ::core::result::Result::Ok(::core::option::Option::Some(#out)) => return #out,
                            ::core::result::Result::Ok(::core::option::Option::None) => {}
                            ::core::result::Result::Err(#error) => break #error,
                        }
                    }
                    ::core::result::Result::Err(#error) => break #error,
                }
            };
            #on_error(#error)
        }
    }
}
