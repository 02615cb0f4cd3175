#![deny(warnings)]

use std::num::ParseIntError;

#[derive(Debug)]
enum Failure {
    Number,
    Lock,
}

impl From<ParseIntError> for Failure {
    fn from(_: ParseIntError) -> Self {
        Self::Number
    }
}

impl From<pglock::Error> for Failure {
    fn from(_: pglock::Error) -> Self {
        Self::Lock
    }
}

#[pglock::advisory]
fn parse(text: &str) -> Result<i32, Failure> {
    if text.is_empty() {
        return Ok(0);
    }
    for part in text.split(',') {
        let number: i32 = part.parse()?;
        if number > 3 {
            return Err(Failure::Number);
        }
    }
    let inner = || -> Option<i32> { Some(text.parse::<i32>().ok()? + 1) };
    inner().ok_or(Failure::Number)
}

#[pglock::advisory]
async fn parse_async(text: &str) -> Result<i32, Failure> {
    if text.is_empty() {
        return Ok(0);
    }
    tokio::task::yield_now().await;
    Ok(text.parse()?)
}

#[pglock::advisory("always an error")]
fn never_ok() -> Result<std::convert::Infallible, Failure> {
    loop {
        parse("1")?;
    }
}

#[pglock::advisory("always an error")]
async fn never_ok_async() -> Result<std::convert::Infallible, Failure> {
    loop {
        parse_async("1").await?;
    }
}

#[pglock::advisory("unfinished")]
fn unfinished() -> Result<(), Failure> {
    unimplemented!()
}

fn main() {
    let _ = (parse, parse_async, never_ok, never_ok_async, unfinished);
    let _ = (Failure::Number, Failure::Lock);
}
