//! The variables of [libpq's environment](https://www.postgresql.org/docs/current/libpq-envars.html).

use std::ffi::OsString;

use super::values::{Conninfo, Origin};
use crate::error::Error;

/// Looks up a variable of the environment.
pub(super) type Lookup<'l> = &'l dyn Fn(&str) -> Option<OsString>;

/// The variables, and the options that they stand for. Those of services are read with them.
const VARIABLES: [(&str, &str); 35] = [
    ("PGAPPNAME", "application_name"),
    ("PGCHANNELBINDING", "channel_binding"),
    ("PGCLIENTENCODING", "client_encoding"),
    ("PGCONNECT_TIMEOUT", "connect_timeout"),
    ("PGDATABASE", "dbname"),
    ("PGGSSDELEGATION", "gssdelegation"),
    ("PGGSSENCMODE", "gssencmode"),
    ("PGGSSLIB", "gsslib"),
    ("PGHOST", "host"),
    ("PGHOSTADDR", "hostaddr"),
    ("PGKRBSRVNAME", "krbsrvname"),
    ("PGLOADBALANCEHOSTS", "load_balance_hosts"),
    ("PGMAXPROTOCOLVERSION", "max_protocol_version"),
    ("PGMINPROTOCOLVERSION", "min_protocol_version"),
    ("PGOPTIONS", "options"),
    ("PGPASSFILE", "passfile"),
    ("PGPASSWORD", "password"),
    ("PGPORT", "port"),
    ("PGREQUIREAUTH", "require_auth"),
    ("PGREQUIREPEER", "requirepeer"),
    ("PGSSLCERT", "sslcert"),
    ("PGSSLCERTMODE", "sslcertmode"),
    ("PGSSLCOMPRESSION", "sslcompression"),
    ("PGSSLCRL", "sslcrl"),
    ("PGSSLCRLDIR", "sslcrldir"),
    ("PGSSLKEY", "sslkey"),
    ("PGSSLMAXPROTOCOLVERSION", "ssl_max_protocol_version"),
    ("PGSSLMINPROTOCOLVERSION", "ssl_min_protocol_version"),
    ("PGSSLMODE", "sslmode"),
    // For `sslmode`, so after it.
    ("PGREQUIRESSL", "requiressl"),
    ("PGSSLNEGOTIATION", "sslnegotiation"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGSSLSNI", "sslsni"),
    ("PGTARGETSESSIONATTRS", "target_session_attrs"),
    ("PGUSER", "user"),
];

/// Those that say where to connect, and not only how.
const PLACES: [&str; 6] = [
    "PGHOST",
    "PGHOSTADDR",
    "PGPORT",
    "PGDATABASE",
    "PGUSER",
    "PGSERVICE",
];

/// A variable that is not empty. Some tools can only empty one, not unset it.
pub(super) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Whether libpq's variables say where to connect.
pub(in crate::database) fn names_a_database() -> bool {
    PLACES.iter().any(|name| variable(name).is_some())
}

/// Sets what nothing else has set.
pub(super) fn add(conninfo: &mut Conninfo, variable: Lookup<'_>) -> Result<(), Error> {
    for (name, option) in VARIABLES {
        if conninfo.has(option) {
            continue;
        }
        if let Some(value) = variable(name) {
            let mut said = Conninfo::of(Origin::Variable(name));
            said.set_option(option.as_bytes(), value.into_encoded_bytes())?;
            conninfo.add(said);
        }
    }
    Ok(())
}
