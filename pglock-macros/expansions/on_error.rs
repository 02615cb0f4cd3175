// #[pglock::advisory("report", on_error = |error| log(error))]
// fn report() {
//     work()
// }

fn report() {
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
    let builder = ::pglock::__rt::advisory("report").label("report");
    let on_error = ::pglock::__rt::on_error::<(), _>(|error| log(error));
    let error = match ::pglock::__rt::enter(builder) {
        ::core::result::Result::Ok(call) => {
            return ::pglock::__rt::run(
                call,
                move || -> () { work() },
                |out: &()| {
                    use ::pglock::__rt::{NeverErr as _, IsErr as _};
                    (&::pglock::__rt::Probe(out)).failed()
                },
                on_error,
            );
        }
        ::core::result::Result::Err(error) => error,
    };
    on_error(error)
}
