// #[pglock::advisory("report", client = tx, xact)]
// fn report(tx: &mut Transaction<'_>) -> Result<(), Error> {
//     work(tx)
// }

fn report(tx: &mut Transaction<'_>) -> Result<(), Error> {
    const _: () = {
        static SITE: ::pglock::__rt::AnnotatedFn = ::pglock::__rt::AnnotatedFn::new(
                "advisory",
                ::core::concat!(::core::module_path!(), "::", "report"),
                ::core::file!(),
                ::core::line!(),
                ::core::column!(),
            )
            .id(::pglock::__rt::AnnotatedId::Name("report"))
            .xact();
        ::pglock::__rt::inventory::submit! {
            ::pglock::__rt::Registration(& SITE)
        }
    };
    let builder = ::pglock::__rt::advisory("report").label("report").xact();
    let on_error = <Result<(), Error> as ::pglock::__rt::FromError>::from_error
        as fn(_) -> _;
    let error = match ::pglock::__rt::enter_xact(builder, &mut *tx) {
        ::core::result::Result::Ok(()) => {
            return ::pglock::__rt::run_xact(move || -> Result<(), Error> { work(tx) });
        }
        ::core::result::Result::Err(error) => error,
    };
    on_error(error)
}
