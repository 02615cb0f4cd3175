// #[pglock::prioritize(interval = "500ms", periodic = false, timeout = 10, side_effect = Cancel, using = "reports")]
// async fn migrate(conn: &mut Client) -> Result<(), Error> {
//     work(conn).await
// }

async fn migrate(conn: &mut Client) -> Result<(), Error> {
    const _: () = {
        static SITE: ::pglock::__rt::AnnotatedFn = ::pglock::__rt::AnnotatedFn::new(
                "prioritize",
                ::core::concat!(::core::module_path!(), "::", "migrate"),
                ::core::file!(),
                ::core::line!(),
                ::core::column!(),
            )
            .timeout(::core::time::Duration::new(10u64, 0u32))
            .side_effect("Cancel");
        ::pglock::__rt::inventory::submit! {
            ::pglock::__rt::Registration(& SITE)
        }
    };
    let builder = ::pglock::__rt::prioritize()
        .interval(::core::time::Duration::new(0u64, 500000000u32))
        .periodic(false)
        .timeout(::core::time::Duration::new(10u64, 0u32))
        .side_effect(::pglock::__rt::Cancel)
        .using("reports");
    let on_error = <Result<(), Error> as ::pglock::__rt::FromError>::from_error
        as fn(_) -> _;
    let error = match ::pglock::__rt::enter_prioritize_on_async(builder, &mut *conn)
        .await
    {
        ::core::result::Result::Ok((mut conn, context)) => {
            let out = {
                let conn = ::pglock::__rt::lend(&mut conn);
                let _ = &conn;
                ::pglock::__rt::run_async_in(
                        context,
                        async move {
                            if let ::core::option::Option::Some(returned) = ::core::option::Option::None::<
                                Result<(), Error>,
                            > {
                                return returned;
                            }
                            { work(conn).await }
                        },
                    )
                    .await
            };
            return ::pglock::__rt::leave_on_async(
                    conn,
                    out,
                    <Result<(), Error> as ::pglock::__rt::FromError>::failed
                        as fn(&_) -> _,
                    on_error,
                )
                .await;
        }
        ::core::result::Result::Err(error) => error,
    };
    on_error(error)
}
