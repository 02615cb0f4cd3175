//! Words of libpq that the driver does not know.

use crate::{PASSWORD, built, file, open_to, port, server, user_of};

#[test]
fn a_password_is_looked_up_in_the_passfile_for_each_session() {
    let folder = tempfile::tempdir().unwrap();
    let port = port();
    let lines =
        format!("# ours\n127.0.0.1:1:*:*:wrong\n127.0.0.1:{port}:postgres:scram:{PASSWORD}\n");
    let passfile = file(folder.path(), "pgpass", &lines);
    let url = format!(
        "postgres://scram@127.0.0.1:{port}/postgres?passfile={}&application_name=passfile",
        passfile.display()
    );
    let here = built(&url);
    assert_eq!(user_of(&here).unwrap(), "scram");

    // One in the URL comes first.
    let wrong = built(&url.replace("scram@", "scram:hunter3@"));
    let error = user_of(&wrong).unwrap_err().to_string();
    assert!(error.contains("the password is wrong"), "{error}");

    open_to(&passfile, 0o640);
    let open = built(&url.replace("=passfile", "=open"));
    let error = user_of(&open).unwrap_err().to_string();
    assert!(error.contains("others may read it"), "{error}");
}

#[test]
fn each_host_has_a_password_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let port = port();
    let lines = format!("127.0.0.1:*:*:*:hunter3\nlocalhost:*:*:*:{PASSWORD}\n");
    let passfile = file(folder.path(), "pgpass", &lines);
    let hosts = "host=127.0.0.1,localhost user=scram dbname=postgres";
    let both = built(&format!(
        "{hosts} port={port} passfile='{}'",
        passfile.display()
    ));
    assert_eq!(user_of(&both).unwrap(), "scram");
}

#[test]
fn a_service_has_what_the_url_leaves_out() {
    let folder = tempfile::tempdir().unwrap();
    let port = port();
    let lines = format!(
        "[other]\nhost=nowhere.invalid\n[here]\nhost=127.0.0.1\nport={port}\nuser=scram\npassword={PASSWORD}\ndbname=postgres\n"
    );
    let services = file(folder.path(), "services", &lines);
    let services = services.display();
    let here = built(&format!("service=here servicefile={services}"));
    assert_eq!(user_of(&here).unwrap(), "scram");
    let as_another = built(&format!(
        "postgres://postgres@/?service=here&servicefile={services}"
    ));
    assert_eq!(user_of(&as_another).unwrap(), "postgres");
    let nowhere = format!("postgres://?service=gone&servicefile={services}");
    let error = pglock::Database::builder(nowhere).build().unwrap_err();
    assert!(
        error.to_string().contains("has the service \"gone\""),
        "{error}"
    );
}

#[test]
fn of_several_hosts_the_next_is_tried_and_sessions_are_lent_there_too() {
    let url = server().tcp_url("postgres");
    let several = url.replace("127.0.0.1", "127.0.0.1:1,nowhere.invalid:1,127.0.0.1");
    for options in [
        "",
        "?load_balance_hosts=random",
        "?target_session_attrs=primary",
    ] {
        assert_eq!(
            user_of(&built(&format!("{several}{options}"))).unwrap(),
            "postgres"
        );
    }
    let read_only = built(&format!("{url}?target_session_attrs=read-only"));
    let error = user_of(&read_only).unwrap_err().to_string();
    assert!(
        error.contains("it is not what `target_session_attrs` asks for"),
        "{error}"
    );
}
