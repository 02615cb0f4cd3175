//! The body of an `async fn` in the plain `fn` that an attribute of another crate has made of it.
//!
//! What such an attribute expands to is nobody's promise: what is not recognized here is a plain `fn` as any other.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::{Error, Result, ReturnType, Signature, Token, parse_quote};

use crate::mark::{self, with_content};
use crate::types;

/// The statements of a plain `fn` with a mark at the beginning of the async body in them, where there is one.
pub(crate) fn mark_async_body(
    sig: &Signature,
    statements: &TokenStream,
) -> Result<Option<TokenStream>> {
    let mut trees: Vec<_> = statements.clone().into_iter().collect();
    if let Some(name) = inner_function(sig, &trees) {
        return Err(Error::new(
            name.span(),
            format!(
                "an attribute above this one has made a plain `fn` of `{name}`, whose body could not be stopped when the lock is lost: put it below, next to the function"
            ),
        ));
    }
    let marked = tokio(sig, &trees).or_else(|| boxed(sig, &trees));
    Ok(marked.map(|(at, group)| {
        trees[at] = TokenTree::Group(group);
        trees.into_iter().collect()
    }))
}

/// `#[tokio::main]` and `#[tokio::test]`: `let body = async { .. }; .. { .. block_on(body) .. }`.
fn tokio(sig: &Signature, trees: &[TokenTree]) -> Option<(usize, Group)> {
    let (body, rest) = match trees {
        [let_, name, equals, async_, body, semicolon, rest @ ..]
            if is(let_, "let")
                && is(name, "body")
                && is(equals, "=")
                && is(async_, "async")
                && is(semicolon, ";") =>
        {
            (block(body)?, rest)
        }
        _ => return None,
    };
    // What a user wrote between the two would run without the lock.
    let (last, between) = rest.split_last()?;
    let runs_it = block(last)?.to_string().contains("block_on");
    (runs_it && pins_or_allows(between)).then(|| (4, marked(sig.clone(), body)))
}

/// Nothing but what tokio puts between the body and the runtime: the body pinned, given a type, and an attribute.
fn pins_or_allows(trees: &[TokenTree]) -> bool {
    let mut statements: Vec<_> = trees.split(|tree| is(tree, ";")).collect();
    let is_attribute = match statements.pop() {
        None | Some([]) => true,
        Some([hash, _]) => is(hash, "#"),
        Some(_) => false,
    };
    let is_of_body = |statement: &&[TokenTree]| match statement {
        [let_, name, ..] if is(let_, "let") => is(name, "body"),
        [.., pin, exclamation_mark, _] => is(pin, "pin") && is(exclamation_mark, "!"),
        _ => false,
    };
    is_attribute && statements.iter().all(is_of_body)
}

/// `#[async_trait]` and its like: `Box::pin(async move { .. })`, and nothing else.
fn boxed(sig: &Signature, trees: &[TokenTree]) -> Option<(usize, Group)> {
    let (TokenTree::Group(arguments), path) = trees.split_last()? else {
        return None;
    };
    let is_path = path
        .iter()
        .all(|tree| matches!(tree, TokenTree::Ident(_)) || is(tree, ":"));
    let inside: Vec<_> = arguments.stream().into_iter().collect();
    let body = match &inside[..] {
        [async_, move_, body] if is(async_, "async") && is(move_, "move") => block(body)?,
        _ => return None,
    };
    if !is_path || !path.last().is_some_and(|pin| is(pin, "pin")) {
        return None;
    }
    let ReturnType::Type(_, returned) = &sig.output else {
        return None;
    };
    let output = types::output_of_a_boxed_future(returned)?;
    let mut sig = sig.clone();
    sig.output = parse_quote!(-> #output);
    let inside = [
        inside[0].clone(),
        inside[1].clone(),
        TokenTree::Group(marked(sig, body)),
    ];
    Some((
        path.len(),
        with_content(arguments, inside.into_iter().collect()),
    ))
}

/// `#[async_std::main]`, `#[sqlx::test]` and their like: the `async fn` itself, in a plain `fn` of the same name.
fn inner_function<'t>(sig: &Signature, trees: &'t [TokenTree]) -> Option<&'t Ident> {
    let has_its_arguments = |inside: &TokenTree| match inside {
        TokenTree::Group(arguments) => {
            arguments.stream().to_string() == sig.inputs.to_token_stream().to_string()
        }
        _ => false,
    };
    // A function that only has the name is a helper of the user's.
    trees.windows(4).find_map(|trees| match trees {
        [async_, fn_, TokenTree::Ident(name), arguments]
            if is(async_, "async")
                && is(fn_, "fn")
                && *name == sig.ident
                && has_its_arguments(arguments) =>
        {
            Some(name)
        }
        _ => None,
    })
}

fn marked(mut sig: Signature, body: &Group) -> Group {
    sig.asyncness = Some(Token![async](sig.ident.span()));
    let mut content = mark::mark(&[], &sig);
    content.extend(body.stream());
    with_content(body, content)
}

fn block(tree: &TokenTree) -> Option<&Group> {
    match tree {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group),
        _ => None,
    }
}

fn is(tree: &TokenTree, text: &str) -> bool {
    match tree {
        TokenTree::Ident(ident) => ident == text,
        TokenTree::Punct(_) => tree.to_token_stream().to_string() == text,
        _ => false,
    }
}
