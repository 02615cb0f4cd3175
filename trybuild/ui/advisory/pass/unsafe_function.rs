#![deny(warnings)]

unsafe fn one() -> u8 {
    1
}

/// # Safety
///
/// None.
#[pglock::advisory]
pub unsafe fn load() -> Result<u8, pglock::Error> {
    Ok(unsafe { one() })
}

#[pglock::advisory]
async unsafe fn load_async(pointer: &u8) -> Result<u8, pglock::Error> {
    let pointer: *const u8 = pointer;
    Ok(unsafe { *pointer })
}

fn main() {
    let _ = (load as unsafe fn() -> Result<u8, pglock::Error>, load_async);
}
