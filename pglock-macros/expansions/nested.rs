// #[pglock::advisory("outer")]
// #[pglock::advisory("middle")]
// #[tracing::instrument]
// #[::pglock::timeout("3s")]
// fn report(conn: &mut Client) -> Result<(), Error> {
//     work(conn)
// }

#[tracing::instrument]
fn report(conn: &mut Client) -> Result<(), Error> {
    #[allow(unused_imports)]
    use pglock::advisory as _;
    #[allow(unused_imports)]
    use ::pglock::timeout as _;
    const _: () = {
        static SITE: ::pglock::__rt::AnnotatedFn = ::pglock::__rt::AnnotatedFn::new(
                "advisory",
                ::core::concat!(::core::module_path!(), "::", "report"),
                ::core::file!(),
                ::core::line!(),
                ::core::column!(),
            )
            .id(::pglock::__rt::AnnotatedId::Name("outer"));
        ::pglock::__rt::inventory::submit! {
            ::pglock::__rt::Registration(& SITE)
        }
    };
    let builder = ::pglock::__rt::advisory("outer").label("outer");
    let on_error = <Result<(), Error> as ::pglock::__rt::FromError>::from_error
        as fn(_) -> _;
    let error = match ::pglock::__rt::enter(builder) {
        ::core::result::Result::Ok(call) => {
            return ::pglock::__rt::run(
                call,
                move || -> Result<(), Error> {
                    const _: () = {
                        static SITE: ::pglock::__rt::AnnotatedFn = ::pglock::__rt::AnnotatedFn::new(
                                "advisory",
                                ::core::concat!(::core::module_path!(), "::", "report"),
                                ::core::file!(),
                                ::core::line!(),
                                ::core::column!(),
                            )
                            .id(::pglock::__rt::AnnotatedId::Name("middle"));
                        ::pglock::__rt::inventory::submit! {
                            ::pglock::__rt::Registration(& SITE)
                        }
                    };
                    let builder = ::pglock::__rt::advisory("middle").label("middle");
                    let on_error = <Result<
                        (),
                        Error,
                    > as ::pglock::__rt::FromError>::from_error as fn(_) -> _;
                    let error = match ::pglock::__rt::enter(builder) {
                        ::core::result::Result::Ok(call) => {
                            return ::pglock::__rt::run(
                                call,
                                move || -> Result<(), Error> {
                                    const _: () = {
                                        static SITE: ::pglock::__rt::AnnotatedFn = ::pglock::__rt::AnnotatedFn::new(
                                                "timeout",
                                                ::core::concat!(::core::module_path!(), "::", "report"),
                                                ::core::file!(),
                                                ::core::line!(),
                                                ::core::column!(),
                                            )
                                            .timeout(::core::time::Duration::new(3u64, 0u32));
                                        ::pglock::__rt::inventory::submit! {
                                            ::pglock::__rt::Registration(& SITE)
                                        }
                                    };
                                    let builder = ::pglock::__rt::timeout(
                                        ::core::time::Duration::new(3u64, 0u32),
                                    );
                                    let on_error = <Result<
                                        (),
                                        Error,
                                    > as ::pglock::__rt::FromError>::from_error as fn(_) -> _;
                                    let error = match ::pglock::__rt::enter_timeout_on(
                                        builder,
                                        &mut *conn,
                                    ) {
                                        ::core::result::Result::Ok((call, context)) => {
                                            let out = {
                                                let conn = &mut *conn;
                                                let _ = &conn;
                                                ::pglock::__rt::run_catching(
                                                    context,
                                                    move || -> Result<(), Error> {
                                                        #[cfg(false)]
                                                        #[pglock_body]
                                                        #[pglock::advisory("outer")]
                                                        #[pglock::advisory("middle")]
                                                        #[pglock::timeout("3s")]
                                                        fn report(conn: &mut Client) -> Result<(), Error> {}
                                                        work(conn)
                                                    },
                                                )
                                            };
                                            return ::pglock::__rt::leave_on(
                                                call,
                                                &mut *conn,
                                                out,
                                                <Result<(), Error> as ::pglock::__rt::FromError>::failed
                                                    as fn(&_) -> _,
                                                on_error,
                                            );
                                        }
                                        ::core::result::Result::Err(error) => error,
                                    };
                                    on_error(error)
                                },
                                <Result<(), Error> as ::pglock::__rt::FromError>::failed
                                    as fn(&_) -> _,
                                on_error,
                            );
                        }
                        ::core::result::Result::Err(error) => error,
                    };
                    on_error(error)
                },
                <Result<(), Error> as ::pglock::__rt::FromError>::failed as fn(&_) -> _,
                on_error,
            );
        }
        ::core::result::Result::Err(error) => error,
    };
    on_error(error)
}
