// #[pglock::limit(3, "sms-{country}", timeout = "1m", side_effect = Skip)]
// fn send(country: &str) -> Result<(), Error> {
//     work(country)
// }

fn send(country: &str) -> Result<(), Error> {
    const _: () = {
        static SITE: ::pglock::__rt::AnnotatedFn = ::pglock::__rt::AnnotatedFn::new(
                "limit",
                ::core::concat!(::core::module_path!(), "::", "send"),
                ::core::file!(),
                ::core::line!(),
                ::core::column!(),
            )
            .id(::pglock::__rt::AnnotatedId::Template("sms-{country}"))
            .timeout(::core::time::Duration::new(60u64, 0u32))
            .side_effect("Skip")
            .permits(3);
        ::pglock::__rt::inventory::submit! {
            ::pglock::__rt::Registration(& SITE)
        }
    };
    let builder = ::pglock::__rt::skip(
        ::pglock::__rt::limit_by(
                ::pglock::__rt::advisory(
                        ::std::format!("sms-{}", ::pglock::__rt::shown(& country)),
                    )
                    .label("sms-{country}"),
                3,
            )
            .timeout(::core::time::Duration::new(60u64, 0u32)),
    );
    let on_error = <Result<(), Error> as ::pglock::__rt::FromError>::from_error
        as fn(_) -> _;
    let error = match ::pglock::__rt::enter(builder) {
        ::core::result::Result::Ok(call) => {
            return ::pglock::__rt::run(
                call,
                move || -> Result<(), Error> { work(country) },
                <Result<(), Error> as ::pglock::__rt::FromError>::failed as fn(&_) -> _,
                on_error,
            );
        }
        ::core::result::Result::Err(error) => error,
    };
    if ::pglock::__rt::is_busy(&error) {
        <Result<(), Error> as ::pglock::__rt::Skippable>::skipped()
    } else {
        on_error(error)
    }
}
