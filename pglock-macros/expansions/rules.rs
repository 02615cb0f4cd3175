// #[pglock::advisory("digest", timeout = 0, once_in = "55m", fenced)]
// fn digest() -> Result<(), Error> {
//     work()
// }

fn digest() -> Result<(), Error> {
    const _: () = {
        static SITE: ::pglock::__rt::AnnotatedFn = ::pglock::__rt::AnnotatedFn::new(
                "advisory",
                ::core::concat!(::core::module_path!(), "::", "digest"),
                ::core::file!(),
                ::core::line!(),
                ::core::column!(),
            )
            .id(::pglock::__rt::AnnotatedId::Name("digest"))
            .timeout(::core::time::Duration::new(0u64, 0u32))
            .once_in(::core::time::Duration::new(3300u64, 0u32))
            .fenced();
        ::pglock::__rt::inventory::submit! {
            ::pglock::__rt::Registration(& SITE)
        }
    };
    let builder = ::pglock::__rt::advisory("digest")
        .label("digest")
        .timeout(::core::time::Duration::new(0u64, 0u32))
        .once_in(::core::time::Duration::new(3300u64, 0u32))
        .fenced();
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
