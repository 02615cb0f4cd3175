//! The name of pglock's own sessions, by which others find the holder of a busy lock.

use std::path::Path;

/// Marks a session as pglock's.
const MARK: &str = "pglock: ";

/// As many bytes of an `application_name` are kept by Postgres.
const KEPT: usize = 63;

/// As many bytes of a long program's name are kept where the host's name needs the rest.
const PROGRAM: usize = 20;

/// The name that was given, or else that of the program and of its host.
pub(super) fn session_name(given: Option<&str>) -> String {
    match given {
        Some(name) if name.starts_with(MARK) => name.to_owned(),
        Some(name) if !name.is_empty() && name != "pglock" => format!("{MARK}{name}"),
        _ => {
            let program = program().unwrap_or_else(|| "program".to_owned());
            format!("{MARK}{}", fitted(&program, host().as_deref()))
        }
    }
}

/// The name of the file that runs.
fn program() -> Option<String> {
    let named = std::env::args_os().next();
    let file = named
        .map_or_else(std::env::current_exe, |file| Ok(file.into()))
        .ok()?;
    let name = if cfg!(windows) {
        file.file_stem()
    } else {
        file.file_name()
    };
    Some(as_shown(&name?.to_string_lossy()))
}

/// The name of this host, if the kernel or the environment says it.
fn host() -> Option<String> {
    let by_kernel = std::fs::read_to_string(Path::new("/proc/sys/kernel/hostname")).ok();
    let variable = if cfg!(windows) {
        "COMPUTERNAME"
    } else {
        "HOSTNAME"
    };
    let name = by_kernel.or_else(|| std::env::var(variable).ok())?;
    let name = name.trim();
    (!name.is_empty()).then(|| as_shown(name))
}

/// As Postgres shows it, which replaces what is not printable ASCII. Some versions do that with four characters for one
/// byte, so that less of the name would be kept.
fn as_shown(name: &str) -> String {
    let shown = |c: char| {
        if c == ' ' || c.is_ascii_graphic() {
            c
        } else {
            '?'
        }
    };
    name.chars().map(shown).collect()
}

/// `program@host`, as much of both as Postgres keeps. The beginning of a program's name says most. Of a host's name it is
/// the end, without the domain: `billing-worker-7d9f8b6c5d-x2x4z` differs from its siblings there.
fn fitted(program: &str, host: Option<&str>) -> String {
    let room = KEPT - MARK.len();
    let Some(host) = host else {
        return program[..program.len().min(room)].to_owned();
    };
    let whole = format!("{program}@{host}");
    if whole.len() <= room {
        return whole;
    }
    let host = host.split('.').next().unwrap_or(host);
    let left = room.saturating_sub("@".len() + host.len()).max(PROGRAM);
    let program = &program[..program.len().min(left)];
    let left = room - program.len() - "@".len();
    format!("{program}@{}", &host[host.len().saturating_sub(left)..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_was_given_is_kept() {
        assert_eq!(session_name(Some("worker-1")), "pglock: worker-1");
        assert_eq!(session_name(Some("pglock: worker-1")), "pglock: worker-1");
    }

    #[test]
    fn without_a_name_it_is_that_of_the_program_and_the_host() {
        for none in [None, Some(""), Some("pglock")] {
            let name = session_name(none);
            assert!(name.starts_with("pglock: pglock-"), "{name}");
            let (_, host) = name.split_once('@').expect("a host");
            assert!(!host.is_empty() && name.len() <= 63, "{name}");
        }
    }

    #[test]
    fn what_is_kept_of_long_names_says_who_it_is() {
        let pod = "billing-worker-of-the-northern-region-7d9f8b6c5d-x2x4z";
        let program = "nightly_report_of_all_the_invoices_of_all_the_customers";
        for (program, host, name) in [
            (
                "report",
                Some("db-1.example.com"),
                "report@db-1.example.com",
            ),
            ("report", None, "report"),
            (
                "report",
                Some(pod),
                "report@g-worker-of-the-northern-region-7d9f8b6c5d-x2x4z",
            ),
            (
                program,
                Some("db-1.example.com"),
                "nightly_report_of_all_the_invoices_of_all_the_cust@db-1",
            ),
            (
                program,
                Some(pod),
                "nightly_report_of_al@e-northern-region-7d9f8b6c5d-x2x4z",
            ),
            (
                program,
                None,
                "nightly_report_of_all_the_invoices_of_all_the_customers",
            ),
        ] {
            let fitted = fitted(program, host);
            assert!(fitted.len() <= 55, "{fitted}");
            assert_eq!(fitted, name);
        }
    }

    #[test]
    fn what_postgres_does_not_show_is_replaced() {
        assert_eq!(as_shown("häuser\n"), "h?user?");
    }
}
