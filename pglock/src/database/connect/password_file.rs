//! Passwords in [libpq's password file](https://www.postgresql.org/docs/current/libpq-pgpass.html).

use std::path::Path;

/// Others may read the file, so libpq does not use it, and neither does pglock.
pub(super) struct OpenToOthers;

/// Whose password is looked up.
#[derive(Clone, Copy)]
pub(super) struct Login<'l> {
    pub(super) host: &'l str,
    pub(super) port: u16,
    pub(super) dbname: &'l str,
    pub(super) user: &'l str,
}

/// The password in the file. It is read for each session, so that a new one is used without a restart. A file that is not
/// there has none.
pub(super) fn look_up(file: &Path, login: Login<'_>) -> Result<Option<Vec<u8>>, OpenToOthers> {
    let Ok(metadata) = std::fs::metadata(file) else {
        return Ok(None);
    };
    if !metadata.is_file() {
        return Ok(None);
    }
    #[cfg(unix)]
    if std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0 {
        return Err(OpenToOthers);
    }
    let text = std::fs::read(file).unwrap_or_default();
    Ok(find(&text, login))
}

// Input:  db.example:5432:*:app:secret
// Output: secret, for the user app
fn find(text: &[u8], login: Login<'_>) -> Option<Vec<u8>> {
    let port = login.port.to_string();
    let wanted = [login.host, &port, login.dbname, login.user];
    text.split(|byte| *byte == b'\n').find_map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.starts_with(b"#") {
            return None;
        }
        let mut rest = line;
        for wanted in wanted {
            let (field, behind) = field(rest);
            if field.raw != b"*" && field.unescaped != wanted.as_bytes() {
                return None;
            }
            rest = behind?;
        }
        Some(field(rest).0.unescaped)
    })
}

struct Field<'f> {
    raw: &'f [u8],
    unescaped: Vec<u8>,
}

/// The text up to the first colon without a backslash before it, and what is behind that.
fn field(text: &[u8]) -> (Field<'_>, Option<&[u8]>) {
    let mut unescaped = Vec::new();
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b':' => {
                let raw = &text[..at];
                return (Field { raw, unescaped }, Some(&text[at + 1..]));
            }
            b'\\' if at + 1 < text.len() => {
                unescaped.push(text[at + 1]);
                at += 2;
            }
            byte => {
                unescaped.push(*byte);
                at += 1;
            }
        }
    }
    (
        Field {
            raw: text,
            unescaped,
        },
        None,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# db:5432:app:app:comment\n\
        other:*:*:*:other\n\
        db:5432:app:app:first\r\n\
        db:5432:app:app:second\n\
        db:*:*:app:any\\:port\\\\:comment\n\
        a\\:b:1:\\*:*:escaped\n\
        short:1:app\n\
        *:*:*:last:\n";

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        for (host, port, dbname, user, password) in [
            ("db", 5432, "app", "app", Some("first")),
            ("db", 5433, "app", "app", Some("any:port\\")),
            ("other", 1, "x", "y", Some("other")),
            ("a:b", 1, "*", "y", Some("escaped")),
            ("a:b", 1, "app", "y", None),
            ("short", 1, "app", "app", None),
            ("dbx", 5432, "app", "app", None),
            ("any", 1, "any", "last", Some("")),
        ] {
            let login = Login {
                host,
                port,
                dbname,
                user,
            };
            let found = find(FILE.as_bytes(), login);
            assert_eq!(
                found.as_deref(),
                password.map(str::as_bytes),
                "{host}:{port}:{dbname}:{user}"
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_read_is_not_used() {
        use std::os::unix::fs::PermissionsExt;
        let file = tempfile();
        std::fs::write(&file, "*:*:*:*:secret\n").unwrap();
        let login = Login {
            host: "db",
            port: 1,
            dbname: "app",
            user: "app",
        };
        for (mode, used) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
            assert_eq!(look_up(&file, login).is_ok(), used, "{mode:o}");
        }
        std::fs::remove_file(&file).unwrap();
        assert!(matches!(look_up(&file, login), Ok(None)));
    }

    #[cfg(unix)]
    fn tempfile() -> std::path::PathBuf {
        std::env::temp_dir().join(format!("pglock-passwords-{}", std::process::id()))
    }
}
