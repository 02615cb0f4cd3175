//! The attributes as a user meets them: what compiles, and what the compiler says of the rest.
//!
//! One rule, one file, named after the rule. What the compiler says belongs to one version of it, rustc 1.95;
//! `TRYBUILD=overwrite cargo test -p pglock-trybuild` writes it anew, to be read before it is kept.

#[test]
fn advisory() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/advisory/pass/*.rs");
    cases.compile_fail("ui/advisory/fail/*.rs");
}

#[test]
fn leader() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/leader/pass/*.rs");
    cases.compile_fail("ui/leader/fail/*.rs");
}

#[test]
fn limit() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/limit/pass/*.rs");
    cases.compile_fail("ui/limit/fail/*.rs");
}

#[test]
fn timeout() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/timeout/pass/*.rs");
    cases.compile_fail("ui/timeout/fail/*.rs");
}

#[test]
fn prioritize() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/prioritize/pass/*.rs");
    cases.compile_fail("ui/prioritize/fail/*.rs");
}

#[test]
fn retry() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/retry/pass/*.rs");
    cases.compile_fail("ui/retry/fail/*.rs");
}

#[test]
fn tables_and_locks() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("ui/tables/fail/*.rs");
}
