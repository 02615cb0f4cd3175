//! What functions become, token for token.

mod arbitrary;

use proc_macro2::{Delimiter, Group, TokenStream};
use quote::{ToTokens, quote};

use crate::attributes::advisory;

fn expand(arguments: TokenStream, function: &TokenStream) -> String {
    crate::expand::expand(advisory::read, arguments, function).to_string()
}

/// The statements with which `builder` and `steps` become a function of the default kind.
fn statements(builder: &TokenStream, enter: &TokenStream, run: &TokenStream) -> TokenStream {
    quote! {
        let builder = #builder;
        let on_error = <Result<(), Error> as ::pglock::__rt::FromError>::from_error as fn(_) -> _;
        let error = match #enter {
            #run
            ::core::result::Result::Err(error) => error,
        };
        on_error(error)
    }
}

fn failed() -> TokenStream {
    quote!(<Result<(), Error> as ::pglock::__rt::FromError>::failed as fn(&_) -> _)
}

/// A plain function on a session of pglock's own.
fn own_session(builder: &TokenStream, body: &TokenStream) -> TokenStream {
    let failed = failed();
    statements(
        builder,
        &quote!(::pglock::__rt::enter(builder)),
        &quote! {
            ::core::result::Result::Ok(call) => {
                return ::pglock::__rt::run(call, move || -> Result<(), Error> #body, #failed, on_error);
            }
        },
    )
}

#[test]
fn default_id() {
    let builder = quote! {
        {
            static SITE: ::pglock::__rt::Site = ::pglock::__rt::Site::new(
                ::core::concat!(::core::module_path!(), "::", "match"),
                ::core::file!(),
                ::core::line!(),
                ::core::column!(),
            );
            ::pglock::__rt::inventory::submit! { ::pglock::__rt::Registered(&SITE) }
            ::pglock::__rt::advisory_at(&SITE)
        }
    };
    let statements = own_session(&builder, &quote!({ work() }));
    assert_eq!(
        expand(
            quote!(),
            &quote!(
                pub fn r#match() -> Result<(), Error> {
                    work()
                }
            )
        ),
        quote!(pub fn r#match() -> Result<(), Error> { #statements }).to_string(),
    );
}

#[test]
fn options() {
    let builder = quote! {
        ::pglock::__rt::advisory(-42i64).label(::core::concat!(::core::module_path!(), "::", "report"))
            .shared()
            .using("reports")
            .timeout(::core::time::Duration::new(90u64, 0u32))
    };
    let statements = own_session(&builder, &quote!({ work() }));
    assert_eq!(
        expand(
            quote!(
                -42,
                timeout = "1m 30s",
                shared,
                xact = false,
                using = "reports",
                side_effect = Raise
            ),
            &quote!(
                fn report() -> Result<(), Error> {
                    work()
                }
            ),
        ),
        quote!(fn report() -> Result<(), Error> { #statements }).to_string(),
    );
}

#[test]
fn async_function() {
    let failed = failed();
    let statements = statements(
        &quote!(::pglock::__rt::advisory("report").label("report")),
        &quote!(::pglock::__rt::enter_async(builder).await),
        &quote! {
            ::core::result::Result::Ok(call) => {
                return ::pglock::__rt::run_async(
                    call,
                    async move {
                        if let ::core::option::Option::Some(returned) = ::core::option::Option::None::<Result<(), Error> > {
                            return returned;
                        }
                        { work().await }
                    },
                    #failed,
                    on_error
                ).await;
            }
        },
    );
    assert_eq!(
        expand(
            quote!("report"),
            &quote!(
                async fn report() -> Result<(), Error> {
                    work().await
                }
            )
        ),
        quote!(async fn report() -> Result<(), Error> { #statements }).to_string(),
    );
}

#[test]
fn client() {
    let failed = failed();
    let statements = statements(
        &quote!(::pglock::__rt::advisory("report").label("report")),
        &quote!(::pglock::__rt::enter_advisory_on(builder, &mut *conn)),
        &quote! {
            ::core::result::Result::Ok((call, context)) => {
                let out = {
                    let conn = &mut *conn;
                    let _ = &conn;
                    ::pglock::__rt::run_catching(context, move || -> Result<(), Error> { work(conn) })
                };
                return ::pglock::__rt::leave_on(call, &mut *conn, out, #failed, on_error);
            }
        },
    );
    assert_eq!(
        expand(
            quote!("report", client = conn),
            &quote!(
                fn report(conn: &mut Client) -> Result<(), Error> {
                    work(conn)
                }
            ),
        ),
        quote!(fn report(conn: &mut Client) -> Result<(), Error> { #statements }).to_string(),
    );
}

#[test]
fn skip_and_on_error() {
    let statements = quote! {
        let builder = ::pglock::__rt::skip(
            ::pglock::__rt::advisory(::std::format!("report:{id}")).label("report:{id}")
                .timeout(::core::time::Duration::new(0u64, 0u32))
        );
        let on_error = ::pglock::__rt::panic::<()>;
        let error = match ::pglock::__rt::enter(builder) {
            ::core::result::Result::Ok(call) => {
                return ::pglock::__rt::run(
                    call,
                    move || -> () { work(id) },
                    |out: &()| {
                        use ::pglock::__rt::{NeverErr as _, IsErr as _};
                        (&::pglock::__rt::Probe(out)).failed()
                    },
                    on_error
                );
            }
            ::core::result::Result::Err(error) => error,
        };
        if ::pglock::__rt::is_busy(&error) {
            return <() as ::pglock::__rt::Skippable>::skipped();
        }
        on_error(error)
    };
    assert_eq!(
        expand(
            quote!(
                "report:{id}",
                timeout = 0,
                side_effect = Skip,
                on_error = Panic
            ),
            &quote!(
                fn report(id: u8) {
                    work(id)
                }
            ),
        ),
        quote!(fn report(id: u8) { #statements }).to_string(),
    );
}

#[test]
fn opaque_types_are_not_named_again() {
    let expanded = expand(
        quote!("report"),
        &quote!(
            fn report() -> Result<impl Iterator<Item = u8>, Error> {
                work()
            }
        ),
    );
    assert_eq!(expanded.matches("impl Iterator").count(), 1, "{expanded}");
    assert!(
        expanded.contains("|| -> Result < _ , Error > { work () }"),
        "{expanded}"
    );
}

#[test]
fn attributes_around_and_inside_stay() {
    let expanded = expand(
        quote!("report"),
        &quote! {
            /// Documented.
            #[must_use]
            unsafe fn report() -> Result<(), Error> {
                #![allow(unused)]
                work()
            }
        },
    );
    let start = quote! {
        /// Documented.
        #[must_use]
        unsafe fn report() -> Result<(), Error>
    };
    assert!(expanded.starts_with(&start.to_string()), "{expanded}");
    assert!(
        expanded.contains("{ # ! [allow (unused)] let builder ="),
        "{expanded}"
    );
}

#[test]
fn several_attributes_nest_in_reading_order() {
    let inner = own_session(
        &quote!(::pglock::__rt::advisory("inner").label("inner")),
        &quote!({ work() }),
    );
    let middle = own_session(
        &quote!(::pglock::__rt::advisory("middle").label("middle")),
        &quote!({ #inner }),
    );
    let outer = own_session(
        &quote!(::pglock::__rt::advisory("outer").label("outer")),
        &quote!({ #middle }),
    );
    let expected = quote! {
        #[inline]
        fn report() -> Result<(), Error> {
            #[allow(unused_imports)] use advisory as _;
            #[allow(unused_imports)] use ::pglock::advisory as _;
            #outer
        }
    };
    let function = quote! {
        #[advisory("middle")]
        #[inline]
        #[::pglock::advisory(lock_id = "inner")]
        fn report() -> Result<(), Error> { work() }
    };
    assert_eq!(expand(quote!("outer"), &function), expected.to_string());
}

#[test]
fn attributes_of_others_are_left_alone() {
    let function = quote! {
        #[other::advisory("inner")]
        #[wrapper::advisory("inner")]
        fn report() -> Result<(), Error> { work() }
    };
    let expanded = expand(quote!("outer", crate = wrapper), &function);
    assert!(expanded.contains("# [other :: advisory"), "{expanded}");
    assert!(!expanded.contains("# [wrapper :: advisory"), "{expanded}");
}

#[test]
fn what_macro_rules_passes_on() {
    let invisible = |tokens: TokenStream| Group::new(Delimiter::None, tokens).to_token_stream();
    let (vis, name) = (invisible(quote!()), quote!(report));
    let (ty, body) = (
        invisible(quote!(Result<(), Error>)),
        invisible(quote!({ work() })),
    );
    let (id, timeout, flag) = (
        invisible(quote!("report")),
        invisible(quote!("2s")),
        invisible(quote!(true)),
    );
    let expanded = expand(
        quote!(#id, timeout = #timeout, shared = #flag),
        &quote!(#vis fn #name() -> #ty #body),
    );
    assert!(
        expanded.contains("label (\"report\") . shared () . timeout (:: core"),
        "{expanded}"
    );
    assert!(expanded.contains("{ work () }"), "{expanded}");
    let whole = invisible(quote!(
        fn report() -> Result<(), Error> {
            work()
        }
    ));
    assert!(expand(quote!("report"), &whole).contains("{ work () }"));
}

#[test]
fn half_written_bodies_are_passed_on() {
    let expanded = expand(
        quote!("report"),
        &quote!(fn report() -> Result<(), Error> { let one = client. }),
    );
    assert!(!expanded.contains("compile_error"), "{expanded}");
    assert!(expanded.contains("{ let one = client . }"), "{expanded}");
}

#[test]
fn mistakes_leave_the_function_as_it_was() {
    let function = quote! {
        #[inline]
        #[pglock::advisory("inner", timeout = -1)]
        pub fn report(id: u8) -> Result<(), Error> { #![allow(unused)] work() }
    };
    let expanded = expand(quote!("outer:{other}"), &function);
    let unchanged = quote! {
        #[inline]
        pub fn report(id: u8) -> Result<(), Error> { #![allow(unused)] work() }
    };
    assert!(expanded.starts_with(&unchanged.to_string()), "{expanded}");
    assert_eq!(expanded.matches("compile_error").count(), 2, "{expanded}");
}

#[test]
fn what_is_no_function_is_left_as_it_was() {
    for item in [
        quote!(
            struct Report {
                name: String,
            }
        ),
        quote!(
            unsafe impl Job for Report {}
        ),
        quote!(
            const LIMIT: u8 = 1;
        ),
        quote!(
            extern "C" {
                fn report();
            }
        ),
        quote!(
            pub(crate) use report::Report;
        ),
        quote!(
            macro_rules! report {
                () => {};
            }
        ),
    ] {
        let expanded = expand(quote!("report"), &item);
        assert!(expanded.starts_with(&item.to_string()), "{expanded}");
        assert_eq!(expanded.matches("compile_error").count(), 1, "{expanded}");
    }
}
