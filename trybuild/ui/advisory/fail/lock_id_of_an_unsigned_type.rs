#[pglock::advisory(lock_id = u64::from(order))]
fn bill(order: u32) -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::advisory(lock_id = small)]
fn fits(small: u32) -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {
    let _ = pglock::advisory(7_usize);
    let _ = pglock::advisory_id(7_u64);
}
