// #[pglock::advisory("job-{self.id}:{part:03}:{N}:{kind:?}")]
// fn report<const N: usize>(&self, part: u8, kind: Kind) -> Result<(), Error> {
//     work()
// }

fn report<const N: usize>(&self, part: u8, kind: Kind) -> Result<(), Error> {
    const _: () = {
        static SITE: ::pglock::__rt::AnnotatedFn = ::pglock::__rt::AnnotatedFn::new(
                "advisory",
                ::core::concat!(::core::module_path!(), "::", "report"),
                ::core::file!(),
                ::core::line!(),
                ::core::column!(),
            )
            .id(
                ::pglock::__rt::AnnotatedId::Template(
                    "job-{self.id}:{part:03}:{N}:{kind:?}",
                ),
            );
        ::pglock::__rt::inventory::submit! {
            ::pglock::__rt::Registration(& SITE)
        }
    };
    let builder = ::pglock::__rt::advisory(
            ::std::format!(
                "job-{}:{:03}:{}:{:?}", ::pglock::__rt::shown(& self.id),
                ::pglock::__rt::shown(& part), ::pglock::__rt::shown(& N), & kind
            ),
        )
        .label("job-{self.id}:{part:03}:{N}:{kind:?}");
    let on_error = <Result<(), Error> as ::pglock::__rt::FromError>::from_error
        as fn(_) -> _;
    let error = match ::pglock::__rt::enter(builder) {
        ::core::result::Result::Ok(call) => {
            return ::pglock::__rt::run(
                call,
                move || -> Result<(), Error> {
                    let _ = &kind;
                    { work() }
                },
                <Result<(), Error> as ::pglock::__rt::FromError>::failed as fn(&_) -> _,
                on_error,
            );
        }
        ::core::result::Result::Err(error) => error,
    };
    on_error(error)
}
