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

macro_rules! wrapped_by_a_macro {
    ($name:ident, $id:literal) => {
        #[$crate::wrapper::locks::advisory($id, crate = $crate::wrapper::locks)]
        #[$crate::wrapper::locks::advisory("inner", crate = $crate::wrapper::locks)]
        fn $name() -> Result<(), pglock::Error> {
            Ok(())
        }
    };
}

wrapped_by_a_macro!(wrapped_twice, "outer");

fn main() {
    let _ = (wrapped, wrapped_async, wrapped_twice);
}
