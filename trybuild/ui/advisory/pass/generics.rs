#![deny(warnings)]

use std::fmt::{Debug, Display};

#[pglock::advisory]
fn show<T: Display, const N: usize>(values: [T; N]) -> Result<String, pglock::Error> {
    Ok(values.iter().map(ToString::to_string).collect())
}

#[pglock::advisory("longest")]
fn longest<'a, T>(a: &'a [T], b: &'a [T]) -> Result<&'a [T], pglock::Error>
where
    T: Debug,
{
    Ok(if a.len() > b.len() { a } else { b })
}

#[pglock::advisory("own error")]
async fn own_error<T, E>(value: Result<T, E>) -> Result<T, E>
where
    E: From<pglock::Error>,
{
    Ok(value?)
}

#[pglock::advisory("any", timeout = 0, side_effect = Skip((T::default(),)), on_error = Panic)]
fn any<T: Default + Clone>(value: &T) -> (T,) {
    (value.clone(),)
}

struct Wrapper<T>(T);

impl<T: Clone + Send + Sync> Wrapper<T> {
    #[pglock::advisory("wrapper")]
    fn get<U: From<T>>(&self) -> Result<U, pglock::Error> {
        Ok(U::from(self.0.clone()))
    }

    #[pglock::advisory("wrapper")]
    async fn get_async<U: From<T>>(&self) -> Result<U, pglock::Error> {
        Ok(U::from(self.0.clone()))
    }
}

fn main() {
    let _ = (show::<u8, 3>, longest::<u8>, own_error::<u8, pglock::Error>, any::<u8>);
    let _ = (Wrapper::<u8>::get::<u16>, Wrapper::<u8>::get_async::<u16>);
}
