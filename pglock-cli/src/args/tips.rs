//! The tips of clap about options that do not exist, without those that mislead.

use clap::Error;
use clap::error::{ContextKind, ContextValue};

/// What ends or cancels sessions. Clap compares letters: of `--format` it suggests `--terminate`.
const ACTS: [&str; 3] = ["--cancel", "--terminate", "--escalate"];

/// How many letters of it have to be there, dashes included.
const ALIKE: usize = "--canc".len();

pub(crate) fn without_misleading(mut error: Error) -> Error {
    let written = text(&error, ContextKind::InvalidArg).unwrap_or_default();
    let suggested = text(&error, ContextKind::SuggestedArg);
    if suggested.is_some_and(|suggested| misleads(&written, &suggested)) {
        error.remove(ContextKind::SuggestedArg);
        // It has that option in it, too.
        error.remove(ContextKind::Usage);
    }
    // "to pass '--csv' as a value, use '-- --csv'": no pid begins so, and hardly a name.
    if let Some(ContextValue::StyledStrs(tips)) = error.remove(ContextKind::Suggested) {
        let is_sound = |tip: &clap::builder::StyledStr| !tip.to_string().contains("as a value");
        let tips: Vec<_> = tips.into_iter().filter(is_sound).collect();
        if !tips.is_empty() {
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
        }
    }
    error
}

fn text(error: &Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        _ => None,
    }
}

fn misleads(written: &str, suggested: &str) -> bool {
    let begins = suggested.chars().zip(written.chars());
    let alike = begins.take_while(|(one, other)| one == other).count();
    ACTS.contains(&suggested) && alike < ALIKE
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::{Cli, with_ls};
    use super::*;

    fn told(line: &str) -> String {
        let words = line.split(' ').map(Into::into).collect();
        let error = Cli::try_parse_from(with_ls(words)).unwrap_err();
        without_misleading(error).to_string()
    }

    #[test]
    fn what_acts_is_suggested_only_where_it_was_meant() {
        for line in [
            "pglock ls --permanent",
            "pglock ls --channel",
            "pglock --scale",
            "pglock --candle",
        ] {
            let told = told(line);
            let acts = ACTS.iter().any(|option| told.contains(option));
            assert!(!acts, "{told}");
        }
        for (line, tip) in [
            ("pglock 1 --cancle", "'--cancel'"),
            ("pglock 1 --terminat", "'--terminate'"),
            ("pglock ls --wait", "'--waiting'"),
        ] {
            assert!(told(line).contains(tip), "{}", told(line));
        }
    }

    #[test]
    fn an_option_is_not_called_a_value() {
        for line in ["pglock ls --csv", "pglock run --timeou 5s a -- true"] {
            assert!(!told(line).contains("as a value"), "{}", told(line));
        }
    }
}
