//! How large the future of an annotated function is.

use pglock::Error;

/// What a call needs besides its arguments and its body.
const CALL: usize = 2_048;

const BODY: usize = 16_384;

async fn plain() -> Result<u8, Error> {
    let room = [1; BODY];
    std::future::ready(()).await;
    Ok(room[7])
}

#[pglock::advisory("a")]
#[pglock::advisory("b")]
async fn annotated() -> Result<u8, Error> {
    let room = [1; BODY];
    std::future::ready(()).await;
    Ok(room[7])
}

#[test]
fn the_future_of_an_annotated_function_has_no_room_for_its_body() {
    assert!(size_of_val(&plain()) >= BODY);
    let size = size_of_val(&annotated());
    assert!(size <= CALL, "{size}");
}

#[test]
fn the_future_of_a_closure_has_room_for_it_once() {
    let body = size_of_val(&plain());
    let size = size_of_val(&pglock::advisory("a").run_async(plain()));
    assert!(size <= body + CALL, "{size}, and {body} of the body");
    let size = size_of_val(&pglock::advisory("a").try_run_async(plain()));
    assert!(size <= body + CALL, "{size}, and {body} of the body");
}
