//! The TLS options of a URL or a keyword string, which the driver's parser rejects.

use std::path::PathBuf;

use super::settings::{Roots, SslMode, TlsOptions};
use crate::error::Error;

/// The text without the TLS options, for the driver's parser, and the options.
pub(crate) fn split_tls_options(text: &str) -> Result<(String, TlsOptions), Error> {
    let mut options = TlsOptions::default();
    let rest = match ["postgres://", "postgresql://"]
        .iter()
        .find(|prefix| text.starts_with(**prefix))
    {
        Some(prefix) => of_url(text, prefix.len(), &mut options)?,
        None => of_keywords(text, &mut options)?,
    };
    Ok((rest, options))
}

impl TlsOptions {
    /// Takes the option if it is about TLS; otherwise returns `false`.
    fn take(&mut self, keyword: &str, value: &str) -> Result<bool, Error> {
        // As in libpq, an empty value means that the option is not set.
        let path = (!value.is_empty()).then(|| PathBuf::from(value));
        match keyword {
            "sslmode" => {
                self.mode = Some(match value {
                    "disable" => SslMode::Disable,
                    "prefer" => SslMode::Prefer,
                    "require" => SslMode::Require,
                    "verify-ca" => SslMode::VerifyCa,
                    "verify-full" => SslMode::VerifyFull,
                    _ => {
                        return Err(Error::config(
                            "the database URL has an unknown `sslmode`; write `disable`, `prefer`, `require`, `verify-ca` or `verify-full`",
                        ));
                    }
                });
            }
            "sslrootcert" => self.roots = path.map(Roots::from),
            "sslcert" => self.certificate = path,
            "sslkey" => self.key = path,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn of_url(url: &str, prefix: usize, options: &mut TlsOptions) -> Result<String, Error> {
    // As in the driver, the first `@` ends user and password, which can contain any other character.
    let host = url[prefix..].find('@').map_or(prefix, |at| prefix + at + 1);
    if ["?ssl", "&ssl"]
        .iter()
        .any(|word| url[..host].contains(word))
    {
        return Err(Error::config(
            "the database URL has an `@` after its options, which would end the password; write it as `%40`",
        ));
    }
    let Some(question) = url[host..].find('?').map(|at| host + at) else {
        return Ok(url.to_owned());
    };
    let mut kept = Vec::new();
    for option in url[question + 1..].split('&') {
        let is_option = match option.split_once('=') {
            Some((keyword, value)) => options.take(&decoded(keyword)?, &decoded(value)?)?,
            None => false,
        };
        if !is_option {
            kept.push(option);
        }
    }
    let rest = &url[..question];
    Ok(if kept.is_empty() {
        rest.to_owned()
    } else {
        format!("{rest}?{}", kept.join("&"))
    })
}

/// Decodes `%` and two digits; as in the driver, any other `%` stays as it is.
fn decoded(text: &str) -> Result<String, Error> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        let digit = |at: usize| char::from(*behind.get(at)?).to_digit(16);
        if let (b'%', Some(high), Some(low)) = (first, digit(0), digit(1)) {
            bytes.extend(u8::try_from(high * 16 + low));
            rest = &behind[2..];
        } else {
            bytes.push(*first);
            rest = behind;
        }
    }
    String::from_utf8(bytes).map_err(|_| {
        Error::config("the options of the database URL are not UTF-8 after decoding; check their `%` sequences")
    })
}

fn of_keywords(text: &str, options: &mut TlsOptions) -> Result<String, Error> {
    let mut kept = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        // The driver's parser rejects what we cannot parse.
        let Some((keyword, value, behind)) = keyword_and_value(rest) else {
            kept.push(rest);
            break;
        };
        if !options.take(keyword, &value)? {
            kept.push(rest[..rest.len() - behind.len()].trim_end());
        }
        rest = behind.trim_start();
    }
    Ok(kept.join(" "))
}

/// The first keyword with its value, and the rest of the text. Quotes and backslashes are read as by the driver's parser.
fn keyword_and_value(text: &str) -> Option<(&str, String, &str)> {
    let end = text.find(|c: char| c == '=' || c.is_whitespace())?;
    let (keyword, rest) = text.split_at(end);
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let (rest, is_quoted) = match rest.strip_prefix('\'') {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    let mut value = String::new();
    let mut chars = rest.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            '\'' if is_quoted => return Some((keyword, value, &rest[at + 1..])),
            _ if !is_quoted && c.is_whitespace() => return Some((keyword, value, &rest[at..])),
            _ => value.push(c),
        }
    }
    (!is_quoted).then_some((keyword, value, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> (String, TlsOptions) {
        split_tls_options(text).unwrap()
    }

    fn file(path: &str) -> Roots {
        Roots::File(path.into())
    }

    #[test]
    fn of_a_url() {
        let (rest, options) = split(
            "postgres://app:s%3Fc@db:5433/app?sslmode=verify%2Dfull&connect_timeout=3&sslrootcert=%2Fetc%2Fa+b%20%c3%a9.pem&sslcert=c&sslkey=k",
        );
        assert_eq!(rest, "postgres://app:s%3Fc@db:5433/app?connect_timeout=3");
        assert_eq!(options.mode, Some(SslMode::VerifyFull));
        assert_eq!(options.roots, Some(file("/etc/a+b é.pem")));
        assert_eq!(options.certificate, Some("c".into()));
        assert_eq!(options.key, Some("k".into()));
    }

    #[test]
    fn a_url_without_is_left_as_it_is() {
        for url in [
            "postgres://db",
            "postgres://app:a?b=c&d@db/app",
            "postgresql://db/app?options=-c%20x=sslmode",
            "postgres://db/app?a&b=c&&%zz=%",
        ] {
            assert_eq!(split(url), (url.to_owned(), TlsOptions::default()));
        }
        assert_eq!(split("postgres://db?sslmode=disable").0, "postgres://db");
    }

    #[test]
    fn the_last_option_counts() {
        let mode = |text| split(text).1.mode;
        assert_eq!(
            mode("postgres://db?sslmode=disable&sslmode=require"),
            Some(SslMode::Require)
        );
        assert_eq!(
            mode("sslmode=require sslmode=disable"),
            Some(SslMode::Disable)
        );
    }

    #[test]
    fn of_keywords() {
        let (rest, options) = split(
            r"host=db  password = 'it\'s sslmode=disable' sslmode = 'verify-ca' sslrootcert='/my \'ca\'.pem' user=a\ b sslkey=k\ k sslcert=c",
        );
        assert_eq!(
            rest,
            r"host=db password = 'it\'s sslmode=disable' user=a\ b"
        );
        assert_eq!(options.mode, Some(SslMode::VerifyCa));
        assert_eq!(options.roots, Some(file("/my 'ca'.pem")));
        assert_eq!(options.certificate, Some("c".into()));
        assert_eq!(options.key, Some("k k".into()));
        let config: tokio_postgres::Config = rest.parse().unwrap();
        assert_eq!(
            config.get_password(),
            Some(b"it's sslmode=disable".as_slice())
        );
    }

    #[test]
    fn what_cannot_be_parsed_is_left_to_the_driver() {
        for text in ["host=db password='open sslmode=require", "host=db password"] {
            let (rest, _) = split(text);
            assert_eq!(rest, text);
            rest.parse::<tokio_postgres::Config>().unwrap_err();
        }
    }

    #[test]
    fn an_unknown_mode_is_rejected_and_not_shown() {
        for text in ["host=db sslmode=hunter2", "postgres://db?sslmode=hunter2"] {
            let error = split_tls_options(text).unwrap_err();
            assert!(error.is_config());
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn an_at_after_the_options_is_rejected() {
        let error =
            split_tls_options("postgres://db:5432/app?sslmode=verify-full&application_name=a@b")
                .unwrap_err();
        assert!(error.to_string().contains("%40"), "{error}");
    }
}
