#![deny(warnings)]

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[test]
#[pglock::advisory("test")]
fn above() -> Result<(), Failure> {
    Ok(())
}

#[pglock::advisory("test")]
#[test]
fn below() -> Result<(), Failure> {
    Ok(())
}

#[tokio::test]
#[pglock::advisory("test")]
async fn above_async() -> Result<(), Failure> {
    Ok(())
}

#[pglock::advisory("test")]
#[tokio::test(flavor = "multi_thread")]
async fn below_async() -> Result<(), Failure> {
    Ok(())
}

#[cfg(test)]
#[pglock::advisory("test", on_error = Panic)]
#[should_panic]
#[test]
fn panics() {
    panic!();
}

#[pglock::advisory]
#[tokio::main]
async fn run() -> Result<(), Failure> {
    Ok(())
}

fn main() {
    let _ = run;
}
