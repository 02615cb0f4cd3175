//! How large the future of an annotated function is.

use pglock::Error;

/// What a call needs besides its arguments and its body, and what the feature `testing` adds to that.
const CALL: usize = 2_048 + 64;

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

const ARGUMENT: usize = 1_024;

#[expect(clippy::large_types_passed_by_value)]
async fn plain_with_an_argument(argument: [u8; ARGUMENT]) -> Result<u8, Error> {
    std::future::ready(()).await;
    Ok(argument[7])
}

#[expect(clippy::large_types_passed_by_value)]
#[pglock::advisory("a")]
async fn annotated_with_an_argument(argument: [u8; ARGUMENT]) -> Result<u8, Error> {
    std::future::ready(()).await;
    Ok(argument[7])
}

#[pglock::advisory("a")]
#[pglock::advisory("b")]
#[pglock::advisory("c")]
async fn three() -> Result<(), Error> {
    Ok(())
}

/// It was 2,072 bytes without the attribute, and 5,736 with it.
#[test]
fn the_future_of_an_annotated_function_has_no_more_room_for_an_argument() {
    let plain = size_of_val(&plain_with_an_argument([1; ARGUMENT]));
    let size = size_of_val(&annotated_with_an_argument([1; ARGUMENT]));
    assert!(
        size <= plain + CALL,
        "{size}, and {plain} without the attribute"
    );
}

/// It was 2,680 bytes.
#[test]
fn the_future_of_three_attributes_has_room_for_one_call() {
    let size = size_of_val(&three());
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
