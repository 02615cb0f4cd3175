// #[pglock::advisory(all("account-{from}", "account-{to}"), timeout = "2s")]
// fn transfer(from: u32, to: u32) -> Result<(), Error> {
//     work(from, to)
// }

fn transfer(from: u32, to: u32) -> Result<(), Error> {
    const _: () = {
        static SITE: ::pglock::__rt::AnnotatedFn = ::pglock::__rt::AnnotatedFn::new(
                "advisory",
                ::core::concat!(::core::module_path!(), "::", "transfer"),
                ::core::file!(),
                ::core::line!(),
                ::core::column!(),
            )
            .all_ids(
                &[
                    ::pglock::__rt::AnnotatedId::Template("account-{from}"),
                    ::pglock::__rt::AnnotatedId::Template("account-{to}"),
                ],
            )
            .timeout(::core::time::Duration::new(2u64, 0u32));
        ::pglock::__rt::inventory::submit! {
            ::pglock::__rt::Registration(& SITE)
        }
    };
    let builder = ::pglock::__rt::advisory_all([
            ::pglock::LockId::from(
                ::std::format!("account-{}", ::pglock::__rt::shown(& from)),
            ),
            ::pglock::LockId::from(
                ::std::format!("account-{}", ::pglock::__rt::shown(& to)),
            ),
        ])
        .label("account-{from}, account-{to}")
        .timeout(::core::time::Duration::new(2u64, 0u32));
    let on_error = <Result<(), Error> as ::pglock::__rt::FromError>::from_error
        as fn(_) -> _;
    let error = match ::pglock::__rt::enter(builder) {
        ::core::result::Result::Ok(call) => {
            return ::pglock::__rt::run(
                call,
                move || -> Result<(), Error> { work(from, to) },
                <Result<(), Error> as ::pglock::__rt::FromError>::failed as fn(&_) -> _,
                on_error,
            );
        }
        ::core::result::Result::Err(error) => error,
    };
    on_error(error)
}
