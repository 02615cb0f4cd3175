#[pglock::limit]
fn none() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::limit("sms", 3)]
fn second() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::limit(timeout = "1m")]
fn an_option() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::limit(0, "sms")]
fn zero() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::limit(1, "sms")]
fn one() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::limit(max = 5, "sms", timeout = "1m")]
fn with_a_name() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::limit("sms", timeout = 3, 5)]
fn last() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::limit(-1, "sms")]
fn negative() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::limit(5000, "sms")]
fn many() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::limit(three(), "sms")]
fn of_another_type() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::limit(MOST, "sms")]
fn of_a_constant() -> Result<(), pglock::Error> {
    Ok(())
}

const MOST: usize = 3;

fn three() -> usize {
    3
}

fn main() {}
