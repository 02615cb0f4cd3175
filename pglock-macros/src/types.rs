//! What can be told about a type from its tokens.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::punctuated::Punctuated;
use syn::{
    GenericArgument, Ident, Path, PathArguments, PathSegment, Token, Type, TypeInfer,
    TypeParamBound, TypePath,
};

/// Looks through parentheses, and through the invisible ones around what `macro_rules!` passes on.
pub(crate) fn ungroup(mut ty: &Type) -> &Type {
    loop {
        ty = match ty {
            Type::Group(group) => &group.elem,
            Type::Paren(paren) => &paren.elem,
            other => return other,
        };
    }
}

/// The pool of connections that a type names, as in `&PgPool` or `Arc<Pool>`.
pub(crate) fn pool(ty: &Type) -> Option<&Ident> {
    match ungroup(ty) {
        Type::Reference(reference) => pool(&reference.elem),
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            let is_pool = last.ident.to_string().ends_with("Pool");
            is_pool
                .then_some(&last.ident)
                .or_else(|| first_argument(&last.arguments).and_then(pool))
        }
        _ => None,
    }
}

/// The last name in the path of a type, or of what it is a reference to: `Uuid` of `&uuid::Uuid`.
pub(crate) fn name(ty: &Type) -> Option<String> {
    match ungroup(ty) {
        Type::Reference(reference) => name(&reference.elem),
        Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
        _ => None,
    }
}

/// Whether a type is a reference or a number.
pub(crate) fn has_nothing_to_drop(ty: &Type) -> bool {
    const NUMBERS: [&str; 16] = [
        "bool", "char", "f32", "f64", "i128", "i16", "i32", "i64", "i8", "isize", "u128", "u16",
        "u32", "u64", "u8", "usize",
    ];
    match ungroup(ty) {
        Type::Reference(_) => true,
        Type::Path(path) => path
            .path
            .get_ident()
            .is_some_and(|name| NUMBERS.iter().any(|number| name == number)),
        _ => false,
    }
}

/// The first name in the path of a type: `T` of `T`, `T::Row` and `<T as Query>::Row`.
pub(crate) fn begins_with(ty: &Type) -> Option<&Ident> {
    match ungroup(ty) {
        Type::Path(TypePath {
            qself: Some(qself), ..
        }) => begins_with(&qself.ty),
        Type::Path(path) => path.path.segments.first().map(|first| &first.ident),
        _ => None,
    }
}

/// The `R` of `Pin<Box<dyn Future<Output = R> + Send>>`, and of `BoxFuture<'_, R>`.
pub(crate) fn output_of_a_boxed_future(ty: &Type) -> Option<&Type> {
    match ungroup(ty) {
        Type::Path(path) => {
            let segment = path.path.segments.last()?;
            let inner = first_argument(&segment.arguments)?;
            match segment.ident.to_string().as_str() {
                "Pin" | "Box" => output_of_a_boxed_future(inner),
                "BoxFuture" | "LocalBoxFuture" => Some(inner),
                _ => None,
            }
        }
        Type::TraitObject(object) => object.bounds.iter().find_map(|bound| match bound {
            TypeParamBound::Trait(bound) => output(bound.path.segments.last()?),
            _ => None,
        }),
        _ => None,
    }
}

fn output(future: &PathSegment) -> Option<&Type> {
    match &future.arguments {
        PathArguments::AngleBracketed(arguments) if future.ident == "Future" => {
            arguments.args.iter().find_map(|argument| match argument {
                GenericArgument::AssocType(output) if output.ident == "Output" => Some(&output.ty),
                _ => None,
            })
        }
        _ => None,
    }
}

/// The lifetimes of a type, as far as its tokens show them: the names of those that have one.
pub(crate) fn lifetimes(ty: &Type) -> Vec<Option<String>> {
    let mut lifetimes = Vec::new();
    collect_lifetimes(ty.to_token_stream(), &mut lifetimes);
    lifetimes
}

fn collect_lifetimes(tokens: TokenStream, lifetimes: &mut Vec<Option<String>>) {
    let is = |tree: &TokenTree, sign| matches!(tree, TokenTree::Punct(it) if it.as_char() == sign);
    let mut tokens = tokens.into_iter().peekable();
    while let Some(tree) = tokens.next() {
        if let TokenTree::Group(group) = &tree {
            collect_lifetimes(group.stream(), lifetimes);
        } else if is(&tree, '\'') {
            let name = tokens.next().map(|name| name.to_string());
            lifetimes.push(name.filter(|name| name != "_"));
        } else if is(&tree, '&') && !tokens.peek().is_some_and(|next| is(next, '\'')) {
            lifetimes.push(None);
        }
    }
}

/// Whether a type is, or contains, a function, whose arguments have lifetimes of their own.
pub(crate) fn names_function(ty: &Type) -> bool {
    let tokens = ty.to_token_stream().to_string();
    let mut words = tokens.split(|c: char| !c.is_alphanumeric());
    words.any(|word| matches!(word, "fn" | "Fn" | "FnMut" | "FnOnce" | "for"))
}

/// What runs only after the function has returned it.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Lazy {
    Future,
    Stream,
}

/// Whether a type says by its name that it is lazy, or that a part of it is.
pub(crate) fn lazy(ty: &Type) -> Option<Lazy> {
    match ungroup(ty) {
        Type::ImplTrait(opaque) => lazy_bound(&opaque.bounds),
        Type::TraitObject(object) => lazy_bound(&object.bounds),
        Type::Reference(reference) => lazy(&reference.elem),
        ty => match name(ty).as_deref() {
            Some("BoxFuture" | "LocalBoxFuture") => Some(Lazy::Future),
            Some("BoxStream" | "LocalBoxStream") => Some(Lazy::Stream),
            Some("Pin" | "Box") => argument(ty).and_then(lazy),
            _ => parts(ty).into_iter().find_map(lazy),
        },
    }
}

/// What a tuple, an array, or a type of the standard library that contains others consists of.
fn parts(ty: &Type) -> Vec<&Type> {
    match ty {
        Type::Tuple(tuple) => tuple.elems.iter().collect(),
        Type::Array(array) => vec![&array.elem],
        Type::Path(_) => match name(ty).as_deref() {
            Some("Result" | "Option" | "Vec") => argument(ty).into_iter().collect(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn lazy_bound(bounds: &Punctuated<TypeParamBound, Token![+]>) -> Option<Lazy> {
    bounds.iter().find_map(|bound| match bound {
        TypeParamBound::Trait(bound) => {
            let name = bound.path.segments.last()?.ident.to_string();
            match name.as_str() {
                "Future" | "FusedFuture" | "IntoFuture" | "TryFuture" => Some(Lazy::Future),
                "Stream" | "FusedStream" | "TryStream" => Some(Lazy::Stream),
                _ => None,
            }
        }
        _ => None,
    })
}

/// The parts of a return type of which only the compiler can tell whether they are lazy: `Rows` of `Result<Vec<Rows>, E>`.
pub(crate) fn perhaps_lazy(ty: &Type) -> Vec<&Type> {
    /// Names of types of the standard library, which are what they say.
    const EAGER: [&str; 20] = [
        "String", "Vec", "HashMap", "HashSet", "BTreeMap", "BTreeSet", "Duration", "Instant",
        "bool", "char", "u8", "u16", "u32", "u64", "usize", "i16", "i32", "i64", "f32", "f64",
    ];
    let ty = ungroup(ty);
    let parts = parts(ty);
    if !parts.is_empty() {
        return parts.into_iter().flat_map(perhaps_lazy).collect();
    }
    let is_known = name(ty).is_some_and(|name| EAGER.contains(&name.as_str()));
    match ty {
        Type::Path(_) if !is_known && !names_impl_trait(ty) => vec![ty],
        Type::Macro(_) => vec![ty],
        _ => Vec::new(),
    }
}

fn names_impl_trait(ty: &Type) -> bool {
    let tokens = ty.to_token_stream().to_string();
    tokens.split(' ').any(|token| token == "impl")
}

fn argument(ty: &Type) -> Option<&Type> {
    match ty {
        Type::Path(path) => first_argument(&path.path.segments.last()?.arguments),
        _ => None,
    }
}

fn first_argument(arguments: &PathArguments) -> Option<&Type> {
    match arguments {
        PathArguments::AngleBracketed(arguments) => {
            arguments.args.iter().find_map(|argument| match argument {
                GenericArgument::Type(ty) => Some(ty),
                _ => None,
            })
        }
        PathArguments::None | PathArguments::Parenthesized(_) => None,
    }
}

/// Replaces each `impl Trait` by `_`: written a second time, it would be another type.
pub(crate) fn erase_impl_trait(ty: &mut Type) {
    match ty {
        Type::ImplTrait(opaque) => {
            let underscore_token = Token![_](opaque.impl_token.span);
            *ty = Type::Infer(TypeInfer {
                attrs: Vec::new(),
                underscore_token,
            });
        }
        Type::Array(array) => erase_impl_trait(&mut array.elem),
        Type::Group(group) => erase_impl_trait(&mut group.elem),
        Type::Paren(paren) => erase_impl_trait(&mut paren.elem),
        Type::Ptr(pointer) => erase_impl_trait(&mut pointer.elem),
        Type::Reference(reference) => erase_impl_trait(&mut reference.elem),
        Type::Slice(slice) => erase_impl_trait(&mut slice.elem),
        Type::Tuple(tuple) => tuple.elems.iter_mut().for_each(erase_impl_trait),
        Type::Path(path) => erase_in_path(&mut path.path),
        Type::TraitObject(object) => {
            for bound in &mut object.bounds {
                if let TypeParamBound::Trait(bound) = bound {
                    erase_in_path(&mut bound.path);
                }
            }
        }
        _ => {}
    }
}

fn erase_in_path(path: &mut Path) {
    for segment in &mut path.segments {
        if let PathArguments::AngleBracketed(arguments) = &mut segment.arguments {
            for argument in &mut arguments.args {
                match argument {
                    GenericArgument::Type(ty) => erase_impl_trait(ty),
                    GenericArgument::AssocType(associated) => erase_impl_trait(&mut associated.ty),
                    _ => {}
                }
            }
        }
    }
}
