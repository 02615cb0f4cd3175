// #[pglock::advisory("report", hold_at_least = 30, hold_at_most = "10m")]
// async fn report() -> Result<(), Error> {
//     work().await
// }

async fn report() -> Result<(), Error> {
    const _: () = {
        static SITE: ::pglock::__rt::AnnotatedFn = ::pglock::__rt::AnnotatedFn::new(
                "advisory",
                ::core::concat!(::core::module_path!(), "::", "report"),
                ::core::file!(),
                ::core::line!(),
                ::core::column!(),
            )
            .id(::pglock::__rt::AnnotatedId::Name("report"));
        ::pglock::__rt::inventory::submit! {
            ::pglock::__rt::Registration(& SITE)
        }
    };
    let builder = ::pglock::__rt::advisory("report")
        .label("report")
        .hold_at_least(::core::time::Duration::new(30u64, 0u32))
        .hold_at_most(::core::time::Duration::new(600u64, 0u32));
    let on_error = <Result<(), Error> as ::pglock::__rt::FromError>::from_error
        as fn(_) -> _;
    let error = match ::pglock::__rt::enter_async(builder).await {
        ::core::result::Result::Ok(call) => {
            return ::pglock::__rt::run_async(
                    call,
                    async move {
                        if let ::core::option::Option::Some(returned) = ::core::option::Option::None::<
                            Result<(), Error>,
                        > {
                            return returned;
                        }
                        { work().await }
                    },
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
