//! What attributes expand to. Whole expansions are the files of `expansions/`; here is what those cannot show.

mod arbitrary;
mod expansions;

use proc_macro2::{Delimiter, Group, TokenStream};
use quote::{ToTokens, quote};

use crate::nest;

fn expand(arguments: &TokenStream, function: &TokenStream) -> String {
    nest::expand("advisory", arguments, function).to_string()
}

#[test]
fn attributes_around_and_inside_stay() {
    let expanded = expand(
        &quote!("report"),
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
        expanded.contains("{ # ! [allow (unused)] const _ :"),
        "{expanded}"
    );
}

#[test]
fn attributes_of_others_are_left_alone() {
    let function = quote! {
        #[other::advisory("inner")]
        #[timeout(1000)]
        #[wrapper::advisory("inner")]
        fn report(client: &mut Client) -> Result<(), Error> { work() }
    };
    let expanded = expand(
        &quote!("outer", client = client, crate = wrapper),
        &function,
    );
    assert!(expanded.contains("# [other :: advisory"), "{expanded}");
    assert!(expanded.contains("# [timeout (1000)]"), "{expanded}");
    assert!(!expanded.contains("# [wrapper :: advisory"), "{expanded}");
}

#[test]
fn by_another_name_they_nest_as_by_their_own() {
    for (asyncness, body) in [
        (quote!(), quote!({ work(conn) })),
        (quote!(async), quote!({ work(conn).await })),
    ] {
        let function = |attributes| quote!(#attributes #asyncness fn report(conn: &mut Client) -> Result<(), Error> #body);
        let at_once = expand(
            &quote!("outer", client = conn),
            &function(quote!(
                #[other]
                #[pglock::advisory("middle")]
                #[pglock::advisory("inner", client = conn)]
            )),
        );
        let mut one_by_one = function(quote!(#[other]));
        for arguments in [
            quote!("outer", client = conn),
            quote!("middle"),
            quote!("inner", client = conn),
        ] {
            one_by_one = nest::expand("advisory", &arguments, &one_by_one);
        }
        let import = quote!(
            #[allow(unused_imports)]
            use pglock::advisory as _;
        )
        .to_string();
        assert_eq!(
            one_by_one.to_string().replace(' ', ""),
            at_once.replace(&import, "").replace(' ', ""),
        );
    }
}

#[test]
fn a_body_that_was_copied_is_refused() {
    let once = expand(
        &quote!("outer"),
        &quote!(
            #[copies]
            fn report() -> Result<(), Error> {
                work()
            }
        ),
    );
    let once: syn::ItemFn = syn::parse_str(&once).unwrap();
    let block = &once.block;
    let twice = quote!(fn report() -> Result<(), Error> { if test() #block else #block });
    let expanded = expand(&quote!("inner"), &twice);
    assert!(
        expanded.contains("copies the body of `report`"),
        "{expanded}"
    );
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
        &quote!(#id, timeout = #timeout, shared = #flag),
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
    assert!(expand(&quote!("report"), &whole).contains("{ work () }"));
}

#[test]
fn half_written_bodies_are_passed_on() {
    let expanded = expand(
        &quote!("report"),
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
    let expanded = expand(&quote!("outer:{other}"), &function);
    let unchanged = quote! {
        #[allow(unused_variables)]
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
        let expanded = expand(&quote!("report"), &item);
        assert!(expanded.starts_with(&item.to_string()), "{expanded}");
        assert_eq!(expanded.matches("compile_error").count(), 1, "{expanded}");
    }
}
