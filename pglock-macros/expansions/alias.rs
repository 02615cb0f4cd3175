// #[pglock::advisory("rows")]
// fn rows() -> Result<Option<Rows>, Error> {
//     work()
// }

fn rows() -> Result<Option<Rows>, Error> {
    ::pglock::__rt::runs_in_time::<
        Rows,
        _,
    >({
        use ::pglock::__rt::{HasRun as _, RunsLater as _};
        (&::pglock::__rt::Returned::<Rows>(::core::marker::PhantomData)).runs()
    });
    const _: () = {
        static SITE: ::pglock::__rt::AnnotatedFn = ::pglock::__rt::AnnotatedFn::new(
                "advisory",
                ::core::concat!(::core::module_path!(), "::", "rows"),
                ::core::file!(),
                ::core::line!(),
                ::core::column!(),
            )
            .id(::pglock::__rt::AnnotatedId::Name("rows"));
        ::pglock::__rt::inventory::submit! {
            ::pglock::__rt::Registration(& SITE)
        }
    };
    let builder = ::pglock::__rt::advisory("rows").label("rows");
    let on_error = <Result<Option<Rows>, Error> as ::pglock::__rt::FromError>::from_error
        as fn(_) -> _;
    let error = match ::pglock::__rt::enter(builder) {
        ::core::result::Result::Ok(call) => {
            return ::pglock::__rt::run(
                call,
                move || -> Result<Option<Rows>, Error> { work() },
                <Result<Option<Rows>, Error> as ::pglock::__rt::FromError>::failed
                    as fn(&_) -> _,
                on_error,
            );
        }
        ::core::result::Result::Err(error) => error,
    };
    on_error(error)
}
