// #[pglock::advisory("report:{id}", timeout = 0, side_effect = Skip)]
// fn report(id: u8) -> Result<Option<u8>, Error> {
//     work(id).map(Some)
// }

fn report(id: u8) -> Result<Option<u8>, Error> {
    const _: () = {
        static SITE: ::pglock::__rt::AnnotatedFn = ::pglock::__rt::AnnotatedFn::new(
                "advisory",
                ::core::concat!(::core::module_path!(), "::", "report"),
                ::core::file!(),
                ::core::line!(),
                ::core::column!(),
            )
            .id(::pglock::__rt::AnnotatedId::Template("report:{id}"))
            .timeout(::core::time::Duration::new(0u64, 0u32))
            .side_effect("Skip");
        ::pglock::__rt::inventory::submit! {
            ::pglock::__rt::Registration(& SITE)
        }
    };
    let builder = ::pglock::__rt::skip(
        ::pglock::__rt::advisory(
                ::std::format!("report:{}", ::pglock::__rt::shown(& id)),
            )
            .label("report:{id}")
            .timeout(::core::time::Duration::new(0u64, 0u32)),
    );
    let on_error = <Result<Option<u8>, Error> as ::pglock::__rt::FromError>::from_error
        as fn(_) -> _;
    let error = match ::pglock::__rt::enter(builder) {
        ::core::result::Result::Ok(call) => {
            return ::pglock::__rt::run(
                call,
                move || -> Result<Option<u8>, Error> { work(id).map(Some) },
                <Result<Option<u8>, Error> as ::pglock::__rt::FromError>::failed
                    as fn(&_) -> _,
                on_error,
            );
        }
        ::core::result::Result::Err(error) => error,
    };
    if ::pglock::__rt::is_busy(&error) {
        <Result<Option<u8>, Error> as ::pglock::__rt::Skippable>::skipped()
    } else {
        on_error(error)
    }
}
