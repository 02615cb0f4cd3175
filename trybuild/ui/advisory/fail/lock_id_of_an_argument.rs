mod uuid {
    pub struct Uuid;
}

#[pglock::advisory(order)]
fn bill(order: u64) -> Result<(), pglock::Error> {
    let _ = order;
    Ok(())
}

#[pglock::advisory(lock_id = order)]
async fn r#move(order: &uuid::Uuid) -> Result<(), pglock::Error> {
    let _ = order;
    Ok(())
}

fn main() {
    let _ = (bill, r#move);
}
