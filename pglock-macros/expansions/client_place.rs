// #[pglock::advisory("report", client = self.db)]
// fn report(&mut self, _tx: Guard, mut names: Vec<String>, unused: Job) -> Result<(), Error> {
//     names.push(work(&mut self.db));
//     Ok(())
// }

fn report(
    &mut self,
    _tx: Guard,
    mut names: Vec<String>,
    unused: Job,
) -> Result<(), Error> {
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
    let on_error = <Result<(), Error> as ::pglock::__rt::FromError>::from_error
        as fn(_) -> _;
    let error = match ::pglock::__rt::enter_advisory_on(builder, &mut self.db) {
        ::core::result::Result::Ok((call, context)) => {
            let out = {
                ::pglock::__rt::run_catching(
                    context,
                    || -> Result<(), Error> {
                        if false {
                            ::core::mem::drop(names);
                            #[allow(clippy::used_underscore_binding)]
                            ::core::mem::drop(_tx);
                            ::core::unreachable!();
                        }
                        let unused = unused;
                        {
                            names.push(work(&mut self.db));
                            Ok(())
                        }
                    },
                )
            };
            return ::pglock::__rt::leave_on(
                call,
                &mut self.db,
                out,
                <Result<(), Error> as ::pglock::__rt::FromError>::failed as fn(&_) -> _,
                on_error,
            );
        }
        ::core::result::Result::Err(error) => error,
    };
    on_error(error)
}
