#[pglock::advisory("customer-{custmer}", side_effect = Skip)]
fn bill(customer: u32) -> Result<Option<u32>, pglock::Error> {
    Ok(Some(customer))
}

fn main() {}
