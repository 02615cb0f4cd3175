#![deny(warnings)]

use std::fmt::Display;

#[pglock::advisory]
fn arguments(name: impl Display, names: &mut impl Iterator<Item = u8>) -> Result<String, pglock::Error> {
    Ok(format!("{name}{}", names.count()))
}

#[pglock::advisory]
fn in_a_result(name: &str) -> Result<impl Iterator<Item = char> + '_, pglock::Error> {
    if name.is_empty() {
        return Ok(name.chars());
    }
    Ok(name.chars())
}

#[pglock::advisory("in an option", timeout = 0, side_effect = Skip)]
fn in_an_option() -> Result<Option<impl Display>, Box<dyn std::error::Error>> {
    Ok(Some(1))
}

#[pglock::advisory("in a box")]
fn in_a_box() -> Result<Box<dyn Iterator<Item = impl Display>>, pglock::Error> {
    Ok(Box::new([1].into_iter()))
}

#[pglock::advisory("alone", on_error = Panic)]
fn alone(text: &str) -> impl Display + use<'_> {
    text.trim()
}

#[pglock::advisory("in an async fn")]
async fn in_an_async_fn(name: impl Display) -> Result<impl Display, pglock::Error> {
    if name.to_string().is_empty() {
        return Ok(String::new());
    }
    Ok(name.to_string())
}

#[pglock::advisory("alone", on_error = Panic)]
async fn alone_in_an_async_fn(text: &str) -> impl Display {
    text.trim()
}

fn main() {
    let _ = || arguments(1, &mut [1].into_iter());
    let _ = (in_a_result, in_an_option, in_a_box, alone, alone_in_an_async_fn);
    let _ = in_an_async_fn(1);
}
