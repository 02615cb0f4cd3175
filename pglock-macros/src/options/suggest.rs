//! What somebody meant who wrote something else.

/// What options are called elsewhere, and what they are called here.
const OTHER_NAMES: [(&str, &str); 38] = [
    ("id", "lock_id"),
    ("key", "lock_id"),
    ("lock", "lock_id"),
    ("lock_key", "lock_id"),
    ("lock_name", "lock_id"),
    ("name", "lock_id"),
    ("lock_timeout", "timeout"),
    ("max_wait", "timeout"),
    ("wait", "timeout"),
    ("wait_timeout", "timeout"),
    ("busy", "side_effect"),
    ("if_busy", "side_effect"),
    ("on_busy", "side_effect"),
    ("skip", "side_effect"),
    ("exclusive", "shared"),
    ("mode", "shared"),
    ("read", "shared"),
    ("transaction", "xact"),
    ("transactional", "xact"),
    ("database", "using"),
    ("db", "using"),
    ("url", "using"),
    ("conn", "client"),
    ("connection", "client"),
    ("pool", "client"),
    ("tx", "client"),
    ("err", "on_error"),
    ("error", "on_error"),
    ("panic", "on_error"),
    ("at_least", "hold_at_least"),
    ("at_most", "hold_at_most"),
    ("every", "interval"),
    ("attempts", "tries"),
    ("max_attempts", "tries"),
    ("max_tries", "tries"),
    ("retries", "tries"),
    ("trys", "tries"),
    ("max_timeout", "longest"),
];

/// The one of `options` that goes by that name elsewhere, or is spelled nearly like it.
pub(crate) fn option<'o>(written: &str, options: &[&'o str]) -> Option<&'o str> {
    let elsewhere = OTHER_NAMES.iter().find(|(name, _)| *name == written);
    let here =
        elsewhere.and_then(|(_, here)| options.iter().copied().find(|option| option == here));
    here.or_else(|| word(written, options))
}

/// The one of `words` that is spelled like `written`, but for a slip of the fingers and for upper and lower case; or else the
/// only one that begins so.
pub(crate) fn word<'w>(written: &str, words: &[&'w str]) -> Option<&'w str> {
    let written = written.to_lowercase();
    let slips = |word: &str| strsim::osa_distance(&written, &word.to_lowercase());
    // One in three letters, as for cargo's commands.
    let most = written.chars().count().max(3) / 3;
    let near = words.iter().copied().map(|word| (slips(word), word));
    near.filter(|(slips, _)| *slips <= most)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, word)| word)
        .or_else(|| only_one_that_begins(&written, words))
}

fn only_one_that_begins<'w>(written: &str, words: &[&'w str]) -> Option<&'w str> {
    const LEAST: usize = 3;
    let begins = |word: &&str| word.to_lowercase().starts_with(written);
    let mut beginning = words.iter().copied().filter(begins);
    let first = beginning.next()?;
    let is_only = beginning.next().is_none();
    (is_only && written.chars().count() >= LEAST).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let words = ["Skip", "Raise"];
        for (written, meant) in [
            ("Skip", Some("Skip")),
            ("skip", Some("Skip")),
            ("Skp", Some("Skip")),
            ("Sikp", Some("Skip")),
            ("rase", Some("Raise")),
            ("", None),
            ("ä", None),
            ("Return", None),
            ("rai", Some("Raise")),
        ] {
            assert_eq!(word(written, &words), meant, "{written}");
        }
        assert_eq!(word("größe", &["grösse", "größen"]), Some("größen"));
    }

    #[test]
    fn what_several_begin_with_is_none_of_them() {
        let options = ["hold_at_least", "hold_at_most", "once_in"];
        assert_eq!(option("hold", &options), None);
        assert_eq!(option("once", &options), Some("once_in"));
        assert_eq!(option("trys", &["tries"]), Some("tries"));
    }

    #[test]
    fn options() {
        let options = ["lock_id", "timeout", "client"];
        for (written, meant) in [
            ("name", Some("lock_id")),
            ("timeot", Some("timeout")),
            ("lockid", Some("lock_id")),
            ("connection", Some("client")),
            ("tim", Some("timeout")),
            // That is none of these.
            ("ti", None),
            ("on_busy", None),
            ("retries", None),
        ] {
            assert_eq!(option(written, &options), meant, "{written}");
        }
    }
}
