#![deny(warnings)]
#![allow(non_camel_case_types, non_upper_case_globals)]

type Failure = Box<dyn ::std::error::Error + Send + Sync>;

mod std {}
mod core {}

const Err: u8 = 1;
const SITE: u8 = 2;
struct Ok(u8);
enum Option {}
type Result<T> = ::std::result::Result<T, Failure>;

/// The names that generated code could be thought to use are the arguments'.
#[pglock::advisory("{advisory}:{error}", timeout = 0, side_effect = Skip)]
fn names(advisory: u8, error: u8, call: u8, on_error: u8, out: u8, __ret: u8, failed: u8) -> Result<()> {
    let Ok(one) = Ok(advisory + error + call + on_error + out + __ret + failed + Err + SITE);
    let _: (u8, ::std::option::Option<Option>) = (one, None);
    ::std::result::Result::Ok(())
}

#[pglock::advisory(on_error = |_| advisory)]
fn in_expressions(advisory: u8) -> u8 {
    advisory
}

fn main() {
    let _ = (names, in_expressions);
}
