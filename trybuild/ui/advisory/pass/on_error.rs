#![deny(warnings)]

fn to_string(error: pglock::Error) -> Result<u8, String> {
    Err(error.to_string())
}

#[pglock::advisory("panic", on_error = Panic)]
fn panics() {}

#[pglock::advisory("panic", on_error = pglock::Panic)]
async fn panics_async(value: u8) -> u8 {
    value
}

#[pglock::advisory("closure", on_error = |error| error.to_string().len())]
fn closure() -> usize {
    0
}

#[pglock::advisory("function", on_error = to_string)]
fn function() -> Result<u8, String> {
    Err("no".to_owned())
}

#[pglock::advisory("moves", on_error = move |_| fallback)]
fn moves(fallback: u8) -> u8 {
    fallback + 1
}

#[pglock::advisory("exit", on_error = |error| { eprintln!("{error}"); std::process::exit(1) })]
async fn exits() -> Option<u8> {
    None
}

#[pglock::advisory("argument", on_error = handler)]
fn argument<T, F: FnOnce(pglock::Error) -> Option<T>>(value: T, handler: F) -> Option<T> {
    Some(value)
}

fn main() {
    let _ = (panics, panics_async, closure, function, moves, exits);
    let _ = || argument(1, |_| Some(2));
}
