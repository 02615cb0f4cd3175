//! What the environment sets, and what is taken where nothing is named.

use super::*;

#[cfg(unix)]
#[test]
fn without_a_host_it_is_the_folder_with_the_sockets_of_a_local_server() {
    for text in [
        "postgres:///app",
        "postgres://app@/app",
        "dbname=app",
        "host='' dbname=app",
    ] {
        match config(text).get_hosts() {
            [Host::Unix(folder)] => assert!(folder.is_absolute(), "{text}"),
            hosts => panic!("{text}: {hosts:?}"),
        }
    }
    // Of several hosts each may be left out.
    assert_eq!(config("host=db,").get_hosts().len(), 2);
}

#[test]
fn the_environment_sets_what_the_text_leaves_out() {
    let environment = [
        ("PGHOST", "elsewhere"),
        ("PGPORT", "7"),
        ("PGUSER", "somebody"),
        ("PGDATABASE", "things"),
        ("PGPASSWORD", "secret"),
        ("PGAPPNAME", "named"),
        ("PGOPTIONS", "-c x=y"),
        ("PGCONNECT_TIMEOUT", "3"),
        ("PGTARGETSESSIONATTRS", "primary"),
        ("PGPASSFILE", "/p"),
        ("PGSSLMODE", "allow"),
        ("PGREQUIRESSL", "1"),
    ];
    let all = read_in("dbname=app", &environment).unwrap();
    let (text, options) = (
        "host=elsewhere port=7 user=somebody dbname=app",
        "options='-c x=y'",
    );
    let wanted = read(&format!(
        "{text} {options} password=secret application_name=named connect_timeout=3 \
         target_session_attrs=primary passfile=/p sslmode=allow"
    ));
    assert!(all == wanted.unwrap());
    let url = "postgres://app:pw@db:8/app?application_name=mine&sslmode=disable&passfile=/q\
        &connect_timeout=4&options=-c%20a=b&target_session_attrs=any";
    assert!(read_in(url, &environment).unwrap() == read(url).unwrap());
    let by_old_name = read_in("host=db", &[("PGREQUIRESSL", "1")]).unwrap();
    assert_eq!(by_old_name.tls.mode, Some(SslMode::Require));
    // A value that is empty is written, so that the environment's is not used.
    let empty = read_in("dbname='' host=db", &environment).unwrap();
    assert_eq!(empty.config.get_dbname(), None);
}

#[test]
fn what_cannot_be_used_of_the_environment_is_named() {
    for (name, value, says) in [
        (
            "PGPORT",
            "hunter2",
            "`PGPORT` is not a number from 1 to 65535",
        ),
        (
            "PGTARGETSESSIONATTRS",
            "standby",
            "`PGTARGETSESSIONATTRS` picks a standby",
        ),
        (
            "PGGSSENCMODE",
            "require",
            "`PGGSSENCMODE` asks for encryption by GSSAPI",
        ),
    ] {
        let error = read_in("host=db", &[(name, value)])
            .err()
            .unwrap()
            .to_string();
        assert!(error.starts_with(says), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    let overruled = [("PGGSSENCMODE", "require"), ("PGPORT", "x")];
    read_in("host=db port=1 gssencmode=disable", &overruled).unwrap();
}
