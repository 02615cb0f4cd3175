#![deny(warnings)]

#[pglock::advisory]
fn report() -> Result<(), pglock::Error> {
    //! Documented inside.
    #![allow(unused_variables)]
    let unused = 1;
    Ok(())
}

#[pglock::advisory]
async fn report_async() -> Result<(), pglock::Error> {
    #![allow(unused_variables)]
    let unused = 1;
    Ok(())
}

fn main() {
    let _ = (report, report_async);
}
