// #[pglock::retry(client = conn, tries = 20, longest = "2s", prioritize_from = 10, side_effect = Cancel)]
// fn migrate(conn: &mut Client, name: String, done: &mut Vec<String>) -> Result<(), Error> {
//     done.push(work(conn, name)?);
//     Ok(())
// }

fn migrate(
    conn: &mut Client,
    name: String,
    done: &mut Vec<String>,
) -> Result<(), Error> {
    const _: () = {
        static SITE: ::pglock::__rt::AnnotatedFn = ::pglock::__rt::AnnotatedFn::new(
                "retry",
                ::core::concat!(::core::module_path!(), "::", "migrate"),
                ::core::file!(),
                ::core::line!(),
                ::core::column!(),
            )
            .side_effect("Cancel")
            .prioritize_from(10u32);
        ::pglock::__rt::inventory::submit! {
            ::pglock::__rt::Registration(& SITE)
        }
    };
    let name = name;
    let mut tries = ::pglock::__rt::tries_of(
        ::pglock::__rt::retry_locks()
            .label(::core::concat!(::core::module_path!(), "::", "migrate"))
            .tries(20u32)
            .longest(::core::time::Duration::new(2u64, 0u32))
            .prioritize_from(10u32, ::pglock::__rt::Cancel),
    );
    let on_error = <Result<(), Error> as ::pglock::__rt::FromError>::from_error
        as fn(_) -> _;
    let error = loop {
        match ::pglock::__rt::enter_try_on(&mut tries, &mut *conn) {
            ::core::result::Result::Ok((call, context)) => {
                let out = {
                    let conn = &mut *conn;
                    let _ = &conn;
                    let name = ::pglock::__rt::of_each_try(&name);
                    let done = &mut *done;
                    ::pglock::__rt::run_catching(
                        context,
                        move || -> Result<(), Error> {
                            let _ = &name;
                            {
                                done.push(work(conn, name)?);
                                Ok(())
                            }
                        },
                    )
                };
                match ::pglock::__rt::leave_try_on(
                    &mut tries,
                    call,
                    &mut *conn,
                    out,
                    <Result<(), Error> as ::pglock::__rt::Tried<_>>::outcome
                        as fn(&_) -> _,
                ) {
                    ::core::result::Result::Ok(::core::option::Option::Some(out)) => {
                        return out;
                    }
                    ::core::result::Result::Ok(::core::option::Option::None) => {}
                    ::core::result::Result::Err(error) => break error,
                }
            }
            ::core::result::Result::Err(error) => break error,
        }
    };
    on_error(error)
}
