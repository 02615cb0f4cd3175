//! What can be told about a type from its tokens.

use syn::punctuated::Punctuated;
use syn::{GenericArgument, Path, PathArguments, Token, Type, TypeInfer, TypeParamBound};

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

/// Whether a type is a future, or a smart pointer or `Result` of one.
pub(crate) fn is_future(ty: &Type) -> bool {
    match ungroup(ty) {
        Type::Reference(reference) => is_future(&reference.elem),
        Type::ImplTrait(opaque) => names_future(&opaque.bounds),
        Type::TraitObject(object) => names_future(&object.bounds),
        Type::Path(path) => path.path.segments.last().is_some_and(|segment| {
            match segment.ident.to_string().as_str() {
                "BoxFuture" | "LocalBoxFuture" => true,
                "Pin" | "Box" | "Result" => {
                    first_argument(&segment.arguments).is_some_and(is_future)
                }
                _ => false,
            }
        }),
        _ => false,
    }
}

fn names_future(bounds: &Punctuated<TypeParamBound, Token![+]>) -> bool {
    bounds.iter().any(|bound| match bound {
        TypeParamBound::Trait(bound) => bound
            .path
            .segments
            .last()
            .is_some_and(|segment| segment.ident == "Future"),
        _ => false,
    })
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
