//! Any tokens at all as an attribute's arguments, on any tokens at all: code comes of it, or an error, and never a panic.
//!
//! Tokens of our own options are among them more often than chance would have it, or nothing would get past the first.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

use crate::nest;

/// How often each attribute is tried.
const CASES: u32 = 4000;

/// Pieces of what people write, right and wrong.
const PIECES: [&str; 92] = [
    "lock_id",
    "timeout",
    "side_effect",
    "shared",
    "xact",
    "dedicated",
    "reentrant",
    "using",
    "client",
    "on_error",
    "crate",
    "hold_at_least",
    "hold_at_most",
    "once_in",
    "fenced",
    "interval",
    "periodic",
    "restart",
    "restart_on_error",
    "tries",
    "longest",
    "unbounded_last",
    "prioritize_from",
    "=",
    "=",
    "=",
    ",",
    ",",
    ",",
    "==",
    "=>",
    "::",
    ".",
    ":",
    ";",
    "?",
    "!",
    "-",
    "&",
    "&mut",
    "*",
    "|",
    "||",
    "#",
    "..",
    "<",
    ">",
    "'a",
    "_",
    "None",
    "Some",
    "Skip",
    "Skip(())",
    "Raise",
    "Panic",
    "Terminate",
    "Cancel",
    "Escalate",
    "pglock",
    "self",
    "self.db",
    "conn",
    "x",
    "r#match",
    "async",
    "fn",
    "true",
    "false",
    "0",
    "1",
    "-1",
    "2s",
    "0.5",
    "1e400",
    "99999999999999999999",
    "0x10",
    "1_i64",
    "'c'",
    "b\"x\"",
    "\"2s\"",
    "\"\"",
    "\"invoices\"",
    "\"{x}\"",
    "\"{\"",
    "\"}}\"",
    "\"{x:?}\"",
    "\"{0}\"",
    "\"\\u{1F600}{ä}\"",
    "(1, 2)",
    "all",
    "all(\"a\", x)",
    "|e| e",
];

/// What attributes are put on, right and wrong.
const ITEMS: [&str; 19] = [
    "fn f() {}",
    "fn f() -> Result<(), E> { Ok(()) }",
    "async fn f(conn: &mut C) -> Result<u8, E> { todo(conn).await }",
    "async fn f(&self, x: Vec<u8>, (a, S { b, .. }): (u8, S), _: u8) -> Result<u8, E> { Ok(a) }",
    "async fn f(#[cfg(x)] mut x: u8, ref mut y: u8, &mut z: &mut u8) {}",
    "pub(crate) fn f<'a, T: Copy>(&mut self, x: &'a T, conn: &mut Client) -> Option<&'a T> where T: Send { None }",
    "fn f(mut conn: &mut Client, (x, y): (u8, u8), _: u8) -> ! { loop {} }",
    "const fn f() {}",
    "unsafe extern \"C\" fn f() {}",
    "fn f();",
    "struct S;",
    "impl S { fn f() {} }",
    "fn f() -> impl Future<Output = ()> { async {} }",
    "#[advisory(timeout = 0)] #[pglock::timeout(3)] fn f(conn: &mut C) -> Result<(), E> { Ok(()) }",
    "#[pglock::prioritize(interval = 0)] #[advisory] #[advisory] fn f(conn: &mut C) {}",
    "#[pglock::retry(tries = 2)] #[pglock::prioritize] fn f(&mut self, conn: &mut C, mut x: T, y: &mut T) -> Result<(), E> { Ok(()) }",
    "#[pglock::timeout = 3] #[doc = \"x\"] fn r#fn(r#match: u8) -> (u8,) { (1,) }",
    "fn f(self: Box<Self>, conn: &mut impl Connection) -> Box<dyn Future<Output = ()> + Send> { x }",
    "",
];

fn tokens() -> impl Strategy<Value = TokenStream> {
    let piece = prop_oneof![
        8 => select(&PIECES[..]).prop_map(str::to_owned),
        1 => "[a-zA-Z_][a-zA-Z0-9_]{0,8}",
        1 => any::<String>().prop_map(|text| format!("{text:?}")),
        1 => any::<i128>().prop_map(|number| number.to_string()),
    ];
    let leaf = vec(piece, 0..6).prop_map(|pieces| {
        // Text that is not a token here is left out.
        pieces
            .iter()
            .filter_map(|piece| piece.parse::<TokenStream>().ok())
            .collect::<TokenStream>()
    });
    leaf.prop_recursive(3, 24, 4, |inner| {
        let delimiter = select(vec![
            Delimiter::Parenthesis,
            Delimiter::Bracket,
            Delimiter::Brace,
            Delimiter::None,
        ]);
        let group = (delimiter, inner.clone()).prop_map(|(delimiter, tokens)| {
            TokenStream::from(TokenTree::Group(Group::new(delimiter, tokens)))
        });
        vec(prop_oneof![inner, group], 0..4).prop_map(|parts| parts.into_iter().collect())
    })
}

fn item() -> impl Strategy<Value = TokenStream> {
    let known = select(&ITEMS[..]).prop_map(|item| item.parse().unwrap_or_default());
    prop_oneof![4 => known, 1 => tokens()]
}

fn code_or_an_error_comes_of(attribute: &str) {
    let mut runner = TestRunner::new(Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    });
    let inputs = (tokens(), item());
    let property = |(arguments, item): (TokenStream, TokenStream)| {
        let expanded = nest::expand(attribute, &arguments, &item);
        // What comes of a function is a function, or that function and an error.
        if syn::parse2::<syn::ItemFn>(item).is_ok() {
            let read = syn::parse2::<syn::File>(expanded.clone());
            assert!(read.is_ok(), "{:?}: {expanded}", read.err());
        }
        Ok(())
    };
    if let Err(failure) = runner.run(&inputs, property) {
        panic!("{failure}");
    }
}

#[test]
fn of_advisory() {
    code_or_an_error_comes_of("advisory");
}

#[test]
fn of_timeout() {
    code_or_an_error_comes_of("timeout");
}

#[test]
fn of_prioritize() {
    code_or_an_error_comes_of("prioritize");
}

#[test]
fn of_limit() {
    code_or_an_error_comes_of("limit");
}

#[test]
fn of_leader() {
    code_or_an_error_comes_of("leader");
}

#[test]
fn of_retry() {
    code_or_an_error_comes_of("retry");
}
