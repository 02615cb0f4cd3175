// #[pglock::timeout("3s")]
// fn migrate(conn: &mut Client) -> Result<(), Error> {
//     work(conn)
// }

fn migrate(conn: &mut Client) -> Result<(), Error> {
    const _: () = {
        static SITE: ::pglock::__rt::AnnotatedFn = ::pglock::__rt::AnnotatedFn::new(
                "timeout",
                ::core::concat!(::core::module_path!(), "::", "migrate"),
                ::core::file!(),
                ::core::line!(),
                ::core::column!(),
            )
            .timeout(::core::time::Duration::new(3u64, 0u32));
        ::pglock::__rt::inventory::submit! {
            ::pglock::__rt::Registration(& SITE)
        }
    };
    let builder = ::pglock::__rt::timeout(::core::time::Duration::new(3u64, 0u32));
    let on_error = <Result<(), Error> as ::pglock::__rt::FromError>::from_error
        as fn(_) -> _;
    let error = match ::pglock::__rt::enter_timeout_on(builder, &mut *conn) {
        ::core::result::Result::Ok((call, context)) => {
            let out = {
                let conn = &mut *conn;
                let _ = &conn;
                ::pglock::__rt::run_catching(
                    context,
                    move || -> Result<(), Error> { work(conn) },
                )
            };
            return ::pglock::__rt::leave_on(
                call,
                &mut *conn,
                out,
                <Result<(), Error> as ::pglock::__rt::FromError>::failed as fn(&_) -> _,
                on_error,
            );
        }
        ::core::result::Result::Err(error) => error,
    };
    on_error(error)
}
