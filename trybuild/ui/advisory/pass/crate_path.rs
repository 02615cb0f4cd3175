#![deny(warnings)]

mod wrapper {
    pub mod locks {
        pub use pglock::*;
    }
}

#[wrapper::locks::advisory("outer", crate = crate::wrapper::locks)]
#[crate::wrapper::locks::advisory("inner", crate = wrapper::locks, timeout = 0, side_effect = Skip)]
fn wrapped() -> Result<(), pglock::Error> {
    Ok(())
}

#[wrapper::locks::advisory(crate = wrapper::locks)]
async fn wrapped_async() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {
    let _ = (wrapped, wrapped_async);
}
