//! The checker on small trees that break a rule each: it has to see them.

use crate::modules::Crate;
use crate::rules::broken;

const LAYERS: [&str; 4] = ["low", "middle", "high", "lib.rs"];

/// What is broken in a crate of these files.
fn broken_in(files: &[(&str, &str)]) -> Vec<String> {
    let texts = files
        .iter()
        .map(|&(path, text)| (path.to_owned(), text.to_owned()));
    broken(&Crate::new("src", texts.collect()), &LAYERS)
}

/// A crate of the modules `low` and `middle` with these files, and `high` with a struct `High` in `high/thing.rs`.
fn broken_with(files: &[(&str, &str)]) -> Vec<String> {
    let others = [
        (
            "lib.rs",
            "mod high; mod low; mod middle; pub use high::High;",
        ),
        ("high/mod.rs", "mod thing; pub use thing::{High, high};"),
        ("high/thing.rs", "pub struct High; pub fn high() {}"),
        ("middle/mod.rs", ""),
        ("low/mod.rs", ""),
    ];
    let others = others
        .iter()
        .filter(|(path, _)| files.iter().all(|(it, _)| it != path));
    broken_in(&files.iter().chain(others).copied().collect::<Vec<_>>())
}

#[track_caller]
fn assert_upward(broken: &[String], place: &str, import: &str) {
    let [only] = broken else {
        panic!("{broken:#?}")
    };
    let start = format!("src/{place} imports `{import}` of ");
    assert!(only.starts_with(&start), "{only}");
    assert!(only.contains(" is below "), "{only}");
}

#[test]
fn imports_from_below_are_fine() {
    let broken = broken_with(&[
        ("low/mod.rs", "pub mod item;"),
        ("low/item.rs", "pub struct Item;"),
        (
            "middle/mod.rs",
            "use crate::low::item::Item; pub struct M(Item);",
        ),
        (
            "high/thing.rs",
            "pub struct High(crate::low::item::Item, std::fmt::Error);",
        ),
    ]);
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn an_upward_import_is_seen() {
    let broken = broken_with(&[(
        "low/mod.rs",
        "\nuse crate::high::High; fn f() { High::new() }",
    )]);
    assert_eq!(
        broken,
        [
            "src/low/mod.rs:2 imports `crate::high::High` of high/thing.rs, but low is below high: \
          move what both need to low or lower"
        ]
    );
}

#[test]
fn each_name_in_braces_is_seen() {
    let broken = broken_with(&[(
        "low/mod.rs",
        "use crate::{low::Fine, high::{\nself, thing::{High as Other}}};\nstruct Fine;",
    )]);
    let [module, item] = &*broken else {
        panic!("{broken:#?}")
    };
    assert!(
        module.contains("low/mod.rs:2 imports `crate::high` of high/mod.rs"),
        "{module}"
    );
    assert!(
        item.contains("low/mod.rs:2 imports `crate::high::thing::High` of high/thing.rs"),
        "{item}"
    );
}

#[test]
fn a_glob_is_seen() {
    let broken = broken_with(&[("low/mod.rs", "use crate::high::*;")]);
    assert_upward(&broken, "low/mod.rs:1", "crate::high::*");
}

#[test]
fn paths_in_code_are_seen() {
    for code in [
        "fn f() {\n crate::high::high() }",
        "fn f(_:\n crate::high::high) {}",
        "fn f() { assert!(true,\n crate::high::high()) }",
        "macro_rules! m { () => {\n $crate::high::high() } }",
        "impl\n crate::high::high for () {}",
        "fn f() -> Vec<\n crate::high::high> {}",
        "fn f() { use\n crate::high::high; }",
    ] {
        let broken = broken_with(&[("low/mod.rs", code)]);
        assert_upward(&broken, "low/mod.rs:2", "crate::high::high");
    }
    let broken = broken_with(&[("low/mod.rs", "fn f() { super::high::high() }")]);
    assert_upward(&broken, "low/mod.rs:1", "super::high::high");
}

#[test]
fn the_name_of_a_module_leads_on() {
    let broken = broken_with(&[("low/mod.rs", "use crate::high;\nfn f() { high::high() }")]);
    let [module, function] = &*broken else {
        panic!("{broken:#?}")
    };
    assert!(
        module.contains("low/mod.rs:1 imports `crate::high` of high/mod.rs"),
        "{module}"
    );
    assert!(
        function.contains("low/mod.rs:2 imports `high::high` of high/thing.rs"),
        "{function}"
    );
}

#[test]
fn a_re_export_of_lib_is_above_all() {
    for low in [
        "use crate::Low;",
        "fn f() -> crate::Low {}",
        "use super::Low;",
    ] {
        let broken = broken_in(&[
            ("lib.rs", "mod low; mod middle; pub use low::item::Low;"),
            ("low/mod.rs", "pub mod item;"),
            ("low/item.rs", "pub struct Low;"),
            ("middle/mod.rs", low),
        ]);
        let [only] = &*broken else {
            panic!("{broken:#?}")
        };
        assert!(only.starts_with("src/middle/mod.rs:1 imports `"), "{only}");
        assert!(
            only.ends_with(
                "::Low` from lib.rs, which is above all layers: write `crate::low::item::Low`"
            ),
            "{only}"
        );
    }
}

#[test]
fn other_crates_are_not_the_modules_of_the_same_name() {
    let broken = broken_with(&[(
        "low/mod.rs",
        "use high::High; use ::high::Other; fn f() { ::high::high(); high::high() }",
    )]);
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn tests_may_import_anything() {
    let broken = broken_with(&[
        (
            "low/mod.rs",
            "#[cfg(test)] mod fixture;
             #[cfg(test)] mod tests { use crate::high::High; }
             #[cfg(all(test, unix))] fn f() { crate::high::high() }
             impl S { #[cfg(test)] fn f() { crate::high::high() } }
             /// See [`crate::high::High`].
             pub(in crate::high) struct S;",
        ),
        ("low/fixture.rs", "use crate::high::High;"),
    ]);
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn a_circle_of_three_is_seen() {
    let broken = broken_with(&[
        ("low/mod.rs", "mod a; mod b; mod c; mod d;"),
        ("low/a.rs", "use super::b::B; pub struct A;"),
        ("low/b.rs", "use crate::low::c::C; pub struct B;"),
        ("low/c.rs", "pub struct C(super::a::A);"),
        ("low/d.rs", "use super::a::A;"),
    ]);
    assert_eq!(
        broken,
        [
            "3 files import each other in a circle: move what they share to a file of its own\
          \n    src/low/a.rs:1 imports `super::b::B` of low/b.rs\
          \n    src/low/b.rs:1 imports `crate::low::c::C` of low/c.rs\
          \n    src/low/c.rs:1 imports `super::a::A` of low/a.rs"
        ]
    );
}

#[test]
fn a_mod_may_pass_on_what_its_children_define() {
    let children = [
        (
            "low/a.rs",
            "use super::B; pub struct A; trait T: super::Shared {}",
        ),
        ("low/b.rs", "pub struct B;"),
        ("low/c.rs", "use super::A;"),
    ];
    let with = |text: &str| {
        let root = ("low/mod.rs", text);
        broken_with(&[children.as_slice(), &[root]].concat())
    };
    let passes_on = "mod a; mod b; mod c; pub use a::A; pub use b::B; pub trait Shared {}";
    assert_eq!(with(passes_on), Vec::<String>::new());

    // But `a` needs `Shared` of `mod.rs`: code there that needs `a` closes a circle.
    for code in [
        "fn f(_: A) {}",
        "fn f() { vec![A] }",
        "use a::A as Own;",
        "fn f() { a::A; }",
    ] {
        let text = format!("{passes_on} {code}");
        let broken = with(&text);
        let [only] = &*broken else {
            panic!("{code}: {broken:#?}")
        };
        assert!(
            only.starts_with("2 files import each other in a circle"),
            "{only}"
        );
    }
}

#[test]
fn a_mod_and_a_part_of_it_may_import_each_other() {
    let root = (
        "low/mod.rs",
        "mod a; mod b; pub struct Shared; fn f(_: a::A) {}",
    );
    let part = ("low/a.rs", "use super::Shared; pub struct A;");
    assert_eq!(
        broken_with(&[root, part, ("low/b.rs", "")]),
        Vec::<String>::new()
    );

    // Together they are in a circle with `b`.
    let part = ("low/a.rs", "use super::b::B; pub struct A;");
    let broken = broken_with(&[root, part, ("low/b.rs", "pub struct B(super::Shared);")]);
    assert_eq!(
        broken,
        [
            "2 files import each other in a circle: move what they share to a file of its own\
          \n    src/low/a.rs:1 imports `super::b::B` of low/b.rs\
          \n    src/low/b.rs:1 imports `super::Shared` of low/mod.rs"
        ]
    );
}

#[test]
fn files_that_attributes_choose_are_read() {
    let broken = broken_with(&[
        (
            "low/mod.rs",
            "#[cfg_attr(not(feature = \"x\"), path = \"no_x.rs\")] mod x; #[path = \"y.rs\"] mod z;",
        ),
        ("low/x.rs", ""),
        ("low/no_x.rs", "use crate::high::High;"),
        ("low/y.rs", "use crate::middle;"),
    ]);
    let places: Vec<&str> = broken
        .iter()
        .filter_map(|it| it.split(' ').next())
        .collect();
    assert_eq!(places, ["src/low/no_x.rs:1", "src/low/y.rs:1"]);
}

#[test]
fn a_file_in_no_layer_is_seen() {
    let broken = broken_in(&[("lib.rs", "mod other;"), ("other.rs", "")]);
    let [only] = &*broken else {
        panic!("{broken:#?}")
    };
    assert!(only.starts_with("src/other.rs is in no layer: "), "{only}");
}

#[test]
fn a_folder_of_many_files_is_seen() {
    let names: Vec<String> = (0..13).map(|it| format!("low/f{it}.rs")).collect();
    let mut files: Vec<(&str, &str)> = names.iter().map(|it| (&**it, "")).collect();
    let broken = broken_with(&files);
    let [only] = &*broken else {
        panic!("{broken:#?}")
    };
    assert!(
        only.starts_with("src/low has 13 files apart from its mod.rs, more than 12: "),
        "{only}"
    );
    files.pop();
    assert_eq!(broken_with(&files), Vec::<String>::new());
}

#[test]
fn a_long_file_says_why() {
    let long = "\n".repeat(451);
    let broken = broken_with(&[("low/mod.rs", &long)]);
    let [only] = &*broken else {
        panic!("{broken:#?}")
    };
    assert!(
        only.starts_with("src/low/mod.rs has 451 lines, more than 450: "),
        "{only}"
    );

    let says_why = format!("//! A table.\n//!\n//! Long because it is a table.{long}");
    assert_eq!(
        broken_with(&[("low/mod.rs", &says_why)]),
        Vec::<String>::new()
    );
    let says_it_below = format!("//! A table.\n{long}//! Long because it is a table.");
    assert_eq!(broken_with(&[("low/mod.rs", &says_it_below)]).len(), 1);
    assert_eq!(
        broken_with(&[("low/mod.rs", &long[1..])]),
        Vec::<String>::new()
    );
}

#[test]
fn a_static_with_a_lock_is_seen() {
    let broken = broken_with(&[(
        "low/mod.rs",
        "pub(crate) static A: GrowingList<u8> = GrowingList::new();\n\
         fn f(name: &'static str, lock: Mutex<u8>) {\n    static B:\n        LazyLock<u8> = LazyLock::new(|| 1);\n}",
    )]);
    let [only] = &broken[..] else {
        panic!("{broken:#?}")
    };
    assert!(only.starts_with("src/low/mod.rs: `static B:"), "{only}");
}
