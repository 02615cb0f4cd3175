#![deny(warnings)]

use std::collections::BTreeMap;
use std::marker::PhantomData;

use pglock::Error;

type Rows<'r> = Vec<&'r str>;
type Outcome<T> = std::result::Result<T, Error>;

/// What is neither a future nor a stream, or is one that does not run by itself.
struct Cursor<'c, F>(PhantomData<&'c F>);

macro_rules! row {
    () => {
        (u8, Option<std::time::SystemTime>)
    };
}

trait Query {
    type Row;

    fn first(&self) -> Outcome<Self::Row>;

    fn last(&self) -> Result<Option<Self::Row>, Error>;
}

impl Query for Rows<'_> {
    type Row = usize;

    #[pglock::advisory("first")]
    fn first(&self) -> Outcome<Self::Row> {
        Ok(self.len())
    }

    #[pglock::advisory("last", timeout = 0, side_effect = Skip)]
    fn last(&self) -> Result<Option<Self::Row>, Error> {
        Ok(Some(self.len()))
    }
}

#[pglock::advisory("an alias")]
fn an_alias<'r>(row: &'r str) -> Result<Rows<'r>, Error> {
    Ok(vec![row])
}

#[pglock::advisory("elided")]
async fn elided(row: &str) -> Result<Rows<'_>, Error> {
    Ok(vec![row])
}

#[pglock::advisory("generic")]
fn generic<T: Clone, const N: usize>(value: &T) -> Outcome<[T; N]>
where
    [T; N]: Default,
{
    let _ = value;
    Ok(Default::default())
}

#[pglock::advisory("parameter", on_error = Panic)]
fn parameter<T>(value: T) -> Option<T> {
    Some(value)
}

#[pglock::advisory("in a struct")]
fn in_a_struct(row: &str) -> Result<Cursor<'_, std::future::Ready<()>>, Error> {
    let _ = row;
    Ok(Cursor(PhantomData))
}

// What is in a type that pglock does not know is not looked at.
#[pglock::advisory("in a map")]
fn in_a_map() -> Result<BTreeMap<u8, std::future::Ready<()>>, Error> {
    Ok(BTreeMap::new())
}

#[pglock::advisory("parts")]
fn parts<T: Clone>(row: &T) -> Result<(Vec<T>, [Rows<'_>; 1], (u8, Option<T>)), Error> {
    Ok((vec![row.clone()], [Vec::new()], (1, None)))
}

#[pglock::advisory("a macro")]
fn a_macro() -> Result<row!(), Error> {
    Ok((1, None))
}

#[pglock::advisory("opaque")]
fn opaque(row: &str) -> Result<Option<Box<impl Iterator<Item = char>>>, Error> {
    Ok(Some(Box::new(row.chars())))
}

#[pglock::advisory("functions")]
fn functions() -> Result<fn(u8) -> std::future::Ready<u8>, Error> {
    Ok(std::future::ready)
}

fn main() {
    let _ = (an_alias, elided, generic::<u8, 3>, parameter::<u8>, in_a_struct, a_macro, opaque, functions);
    let _ = (in_a_map, parts::<u8>);
    let _ = (Rows::first, Rows::last);
}
