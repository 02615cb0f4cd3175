use pglock::advisory as lock;

#[pglock::advisory("outer")]
#[tokio::main]
#[lock("inner")]
async fn run() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {
    let _ = run;
}
