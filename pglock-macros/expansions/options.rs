// #[pglock::advisory(-42, timeout = "1m 30s", shared, xact = false, using = "reports", side_effect = Raise)]
// fn report() -> Result<(), Error> {
//     work()
// }

fn report() -> Result<(), Error> {
    const _: () = {
        static SITE: ::pglock::__rt::AnnotatedFn = ::pglock::__rt::AnnotatedFn::new(
                "advisory",
                ::core::concat!(::core::module_path!(), "::", "report"),
                ::core::file!(),
                ::core::line!(),
                ::core::column!(),
            )
            .id(::pglock::__rt::AnnotatedId::Key(-42i64))
            .timeout(::core::time::Duration::new(90u64, 0u32))
            .shared();
        ::pglock::__rt::inventory::submit! {
            ::pglock::__rt::Registration(& SITE)
        }
    };
    let builder = ::pglock::__rt::advisory(-42i64)
        .label(::core::concat!(::core::module_path!(), "::", "report"))
        .shared()
        .using("reports")
        .timeout(::core::time::Duration::new(90u64, 0u32));
    let on_error = <Result<(), Error> as ::pglock::__rt::FromError>::from_error
        as fn(_) -> _;
    let error = match ::pglock::__rt::enter(builder) {
        ::core::result::Result::Ok(call) => {
            return ::pglock::__rt::run(
                call,
                move || -> Result<(), Error> { work() },
                <Result<(), Error> as ::pglock::__rt::FromError>::failed as fn(&_) -> _,
                on_error,
            );
        }
        ::core::result::Result::Err(error) => error,
    };
    on_error(error)
}
