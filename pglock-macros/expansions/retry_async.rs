// #[pglock::retry(unbounded_last, using = "reports")]
// async fn migrate(&self, conn: &mut Client, name: &str) -> Result<(), Error> {
//     work(conn, name).await
// }

async fn migrate(&self, conn: &mut Client, name: &str) -> Result<(), Error> {
    const _: () = {
        static SITE: ::pglock::__rt::AnnotatedFn = ::pglock::__rt::AnnotatedFn::new(
            "retry",
            ::core::concat!(::core::module_path!(), "::", "migrate"),
            ::core::file!(),
            ::core::line!(),
            ::core::column!(),
        );
        ::pglock::__rt::inventory::submit! {
            ::pglock::__rt::Registration(& SITE)
        }
    };
    let mut tries = ::pglock::__rt::tries_of(
        ::pglock::__rt::retry_locks()
            .label(::core::concat!(::core::module_path!(), "::", "migrate"))
            .unbounded_last(true)
            .using("reports"),
    );
    let on_error = <Result<(), Error> as ::pglock::__rt::FromError>::from_error
        as fn(_) -> _;
    let error = loop {
        match ::pglock::__rt::enter_try_on_async(&mut tries, &mut *conn).await {
            ::core::result::Result::Ok((mut conn, context)) => {
                let out = {
                    let conn = ::pglock::__rt::lend(&mut conn);
                    let _ = &conn;
                    let name = ::pglock::__rt::of_each_try(&name);
                    ::pglock::__rt::run_async_in(
                            context,
                            async move {
                                if let ::core::option::Option::Some(returned) = ::core::option::Option::None::<
                                    Result<(), Error>,
                                > {
                                    return returned;
                                }
                                { work(conn, name).await }
                            },
                        )
                        .await
                };
                match ::pglock::__rt::leave_try_on_async(
                        &mut tries,
                        conn,
                        out,
                        <Result<(), Error> as ::pglock::__rt::Tried<_>>::outcome
                            as fn(&_) -> _,
                    )
                    .await
                {
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
