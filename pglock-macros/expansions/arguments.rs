// #[pglock::advisory("report-{name}")]
// fn report(self, name: String, _: Transaction<'_>, id: u8, (mut first, ..): (Part, Part), unused: Job) -> Result<(), Error> {
//     first.work(id)
// }

fn report(
    self,
    name: String,
    _2: Transaction<'_>,
    id: u8,
    (mut first, ..): (Part, Part),
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
            .id(::pglock::__rt::AnnotatedId::Template("report-{name}"));
        ::pglock::__rt::inventory::submit! {
            ::pglock::__rt::Registration(& SITE)
        }
    };
    let builder = ::pglock::__rt::advisory(
            ::std::format!("report-{}", ::pglock::__rt::shown(& name)),
        )
        .label("report-{name}");
    let on_error = <Result<(), Error> as ::pglock::__rt::FromError>::from_error
        as fn(_) -> _;
    let error = match ::pglock::__rt::enter(builder) {
        ::core::result::Result::Ok(call) => {
            return ::pglock::__rt::run(
                call,
                move || -> Result<(), Error> {
                    let _ = &first;
                    #[allow(clippy::used_underscore_binding)]
                    let _ = &_2;
                    let _ = &name;
                    let _ = &self;
                    let unused = unused;
                    { first.work(id) }
                },
                <Result<(), Error> as ::pglock::__rt::FromError>::failed as fn(&_) -> _,
                on_error,
            );
        }
        ::core::result::Result::Err(error) => error,
    };
    on_error(error)
}
