// #[pglock::advisory("report", timeout = limit(), side_effect = Skip(0), on_error = Panic)]
// fn report() -> u8 {
//     work()
// }

fn report() -> u8 {
    const _: () = {
        static SITE: ::pglock::__rt::AnnotatedFn = ::pglock::__rt::AnnotatedFn::new(
                "advisory",
                ::core::concat!(::core::module_path!(), "::", "report"),
                ::core::file!(),
                ::core::line!(),
                ::core::column!(),
            )
            .id(::pglock::__rt::AnnotatedId::Name("report"))
            .side_effect("Skip");
        ::pglock::__rt::inventory::submit! {
            ::pglock::__rt::Registration(& SITE)
        }
    };
    let builder = ::pglock::__rt::skip(
        ::pglock::__rt::advisory("report").label("report").timeout(limit()),
    );
    let on_error = |error| ::pglock::__rt::panic::<u8>(error);
    let error = match ::pglock::__rt::enter(builder) {
        ::core::result::Result::Ok(call) => {
            return ::pglock::__rt::run(
                call,
                move || -> u8 { work() },
                |out: &u8| {
                    use ::pglock::__rt::{NeverErr as _, IsErr as _};
                    (&::pglock::__rt::Probe(out)).failed()
                },
                on_error,
            );
        }
        ::core::result::Result::Err(error) => error,
    };
    if ::pglock::__rt::is_busy(&error) { 0 } else { on_error(error) }
}
