#![deny(warnings)]

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[pglock::advisory("raise", side_effect = Raise)]
fn raise() -> Result<u8, Failure> {
    Ok(1)
}

#[pglock::advisory("prefixed", timeout = 0, side_effect = pglock::Skip)]
fn prefixed() -> Result<(), Failure> {
    Ok(())
}

#[pglock::advisory("option", timeout = "2s", side_effect = Skip)]
fn option() -> Result<Option<u8>, Failure> {
    Ok(Some(1))
}

#[pglock::advisory("nothing", timeout = 0, side_effect = Skip, on_error = Panic)]
fn nothing() {}

#[pglock::advisory("value", timeout = 0, side_effect = Skip(Ok(text.len())))]
fn value(text: String) -> Result<usize, Failure> {
    Ok(text.into_bytes().len())
}

#[pglock::advisory("exit", timeout = 0, side_effect = pglock::Skip({
    let length: usize = text.parse()?;
    if length > 3 {
        return Ok(length);
    }
    Ok(0)
}))]
fn early_exit(text: &str) -> Result<usize, Failure> {
    Ok(text.len())
}

#[pglock::advisory("await", timeout = 0, side_effect = Skip(value("other".to_owned()).map(|_| 1)))]
async fn awaits() -> Result<usize, Failure> {
    Ok(1)
}

#[pglock::advisory("await", timeout = 0, side_effect = Skip(awaits().await))]
async fn awaits_another() -> Result<usize, Failure> {
    Ok(1)
}

struct State(bool);

impl pglock::Skippable for State {
    fn skipped() -> Self {
        Self(false)
    }
}

#[pglock::advisory("own type", timeout = 0, side_effect = Skip)]
async fn own_type() -> Result<State, Failure> {
    Ok(State(true))
}

fn main() {
    let _ = (raise, prefixed, option, nothing, value, early_exit, awaits, awaits_another, own_type);
    let _ = |state: State| state.0;
}
