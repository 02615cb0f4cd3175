// #[pglock::leader("shard-{shard}", restart = "500ms", restart_on_error)]
// async fn lead(&self, pool: Pool, shard: u32) -> Result<(), Error> {
//     work(pool, shard).await
// }

async fn lead(&self, pool: Pool, shard: u32) -> Result<(), Error> {
    const _: () = {
        static SITE: ::pglock::__rt::AnnotatedFn = ::pglock::__rt::AnnotatedFn::new(
                "leader",
                ::core::concat!(::core::module_path!(), "::", "lead"),
                ::core::file!(),
                ::core::line!(),
                ::core::column!(),
            )
            .id(::pglock::__rt::AnnotatedId::Template("shard-{shard}"));
        ::pglock::__rt::inventory::submit! {
            ::pglock::__rt::Registration(& SITE)
        }
    };
    let leader = ::pglock::__rt::leader_by(
            ::pglock::__rt::advisory(
                    ::std::format!("shard-{}", ::pglock::__rt::shown(& shard)),
                )
                .label("shard-{shard}"),
        )
        .restart(::core::time::Duration::new(0u64, 500000000u32))
        .restart_on_error(true);
    let on_error = <Result<(), Error> as ::pglock::__rt::FromError>::from_error
        as fn(_) -> _;
    ::pglock::__rt::lead(
            leader,
            move || {
                let pool = ::pglock::__rt::of_each_term(&pool);
                let shard = ::pglock::__rt::of_each_term(&shard);
                async move {
                    if let ::core::option::Option::Some(returned) = ::core::option::Option::None::<
                        Result<(), Error>,
                    > {
                        return returned;
                    }
                    {
                        let _ = &pool;
                        { work(pool, shard).await }
                    }
                }
            },
            <Result<(), Error> as ::pglock::__rt::FromError>::failed as fn(&_) -> _,
            on_error,
        )
        .await
}
