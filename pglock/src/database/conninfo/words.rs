//! What pglock does with an option, by its name: [libpq's](https://www.postgresql.org/docs/current/libpq-connect.html), and
//! those of other tools, whose URLs people have.

/// What is done with an option.
pub(super) enum Word {
    /// It is set, by this name.
    Set(&'static str),
    /// It is not about what pglock's sessions do.
    NoEffect,
    /// These values stand for what pglock does anyway. Others are refused, for this reason.
    Only(&'static [&'static str], &'static str),
    /// It is an option of this tool, and not libpq's.
    Of(&'static str),
}

const NO_GSS: &str = "asks for encryption by GSSAPI, which pglock's sessions do not have; leave it out, or use TLS, as in `sslmode=verify-full`";
const NO_REPLICATION: &str =
    "asks for a connection for replication, which takes no locks; leave it out";
const NO_PROTOCOL: &str =
    "rules out version 3.0 of the protocol, which pglock's sessions use; leave it out";
const TLS_VERSIONS: &str = "rules out TLS 1.2 or 1.3, which pglock's sessions use; leave it out";
const NO_REVOCATION: &str =
    "names revoked certificates, which pglock's sessions do not look at; leave it out";
const NO_KEYS: &str = "is not supported for pglock's sessions; leave it out, and set a password";
const NO_AUTH_RULES: &str = "limits how the server may authenticate, which pglock cannot check; leave it out, or use `sslmode=verify-full`";

/// What the option of this name is.
pub(super) fn find(name: &str) -> Option<Word> {
    Some(match name {
        "keepalives_retries" => Word::Set("keepalives_count"), // so in the driver
        "krbsrvname" | "gsslib" | "gssdelegation" | "sslcompression" | "client_encoding"
        | "authtype" | "tty" => Word::NoEffect,
        "gssencmode" => Word::Only(&["disable", "prefer"], NO_GSS),
        "replication" => Word::Only(&["false", "off", "no", "0"], NO_REPLICATION),
        "min_protocol_version" => Word::Only(&["3.0"], NO_PROTOCOL),
        "max_protocol_version" => Word::Only(&["3.0", "3.2", "latest"], NO_PROTOCOL),
        "ssl_min_protocol_version" => Word::Only(&["TLSv1", "TLSv1.1", "TLSv1.2"], TLS_VERSIONS),
        "ssl_max_protocol_version" => Word::Only(&["TLSv1.3"], TLS_VERSIONS),
        "sslsni" => Word::Only(
            &["1"],
            "hides the host's name from the server, which pglock's sessions tell it; leave it out",
        ),
        "sslcertmode" => Word::Only(
            &["allow"],
            "is not supported for pglock's sessions, which send a certificate if `sslcert` names one; leave it out",
        ),
        "sslpassword" => Word::Only(
            &[],
            "is not supported for pglock's sessions; name a key without a password as `sslkey`",
        ),
        "sslcrl" | "sslcrldir" => Word::Only(&[], NO_REVOCATION),
        "sslkeylogfile" => Word::Only(
            &[],
            "asks for the secrets of sessions, which pglock does not write down; leave it out",
        ),
        "require_auth" | "requirepeer" => Word::Only(&[], NO_AUTH_RULES),
        "scram_client_key"
        | "scram_server_key"
        | "oauth_issuer"
        | "oauth_client_id"
        | "oauth_client_secret"
        | "oauth_scope" => Word::Only(&[], NO_KEYS),
        "ssl" => Word::Only(
            &[],
            "is an option of JDBC's and others'; write `sslmode=disable` or `sslmode=require`",
        ),
        _ => match SET.iter().find(|set| **set == name) {
            Some(set) => Word::Set(set),
            None => Word::Of(tool(name)?),
        },
    })
}

/// What is set, by libpq's names.
const SET: [&str; 27] = [
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "fallback_application_name",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "load_balance_hosts",
    "options",
    "passfile",
    "password",
    "port",
    "service",
    "servicefile",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
    "requiressl",
];

/// The tool whose option this is.
fn tool(name: &str) -> Option<&'static str> {
    let of = |names: &[&str]| names.contains(&name);
    if of(&PRISMA) {
        Some("Prisma")
    } else if of(&SQLX) || name.starts_with("options[") {
        Some("sqlx")
    } else if of(&JDBC) {
        Some("JDBC")
    } else if of(&RAILS) {
        Some("Rails")
    } else if of(&PGX) {
        Some("pgx")
    } else if of(&SQLALCHEMY) {
        Some("SQLAlchemy")
    } else if of(&DJANGO) {
        Some("Django")
    } else if of(&NODE) {
        Some("node-postgres")
    } else if name.starts_with("x-") {
        Some("golang-migrate")
    } else {
        None
    }
}

const PRISMA: [&str; 8] = [
    "schema",
    "connection_limit",
    "pool_timeout",
    "socket_timeout",
    "pgbouncer",
    "statement_cache_size",
    "sslaccept",
    "sslidentity",
];
const SQLX: [&str; 6] = [
    "statement-cache-capacity",
    "ssl-mode",
    "ssl-root-cert",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
];
const JDBC: [&str; 11] = [
    "currentSchema",
    "ApplicationName",
    "loginTimeout",
    "connectTimeout",
    "socketTimeout",
    "tcpKeepAlive",
    "prepareThreshold",
    "reWriteBatchedInserts",
    "stringtype",
    "targetServerType",
    "sslfactory",
];
const RAILS: [&str; 9] = [
    "pool",
    "encoding",
    "prepared_statements",
    "schema_search_path",
    "reaping_frequency",
    "checkout_timeout",
    "statement_limit",
    "advisory_locks",
    "variables",
];
const PGX: [&str; 13] = [
    "pool_max_conns",
    "pool_min_conns",
    "pool_max_conn_lifetime",
    "pool_max_conn_idle_time",
    "pool_health_check_period",
    "default_query_exec_mode",
    "statement_cache_capacity",
    "description_cache_capacity",
    "search_path",
    "statement_timeout",
    "lock_timeout",
    "timezone",
    "TimeZone",
];
const SQLALCHEMY: [&str; 5] = [
    "pool_size",
    "max_overflow",
    "pool_recycle",
    "pool_pre_ping",
    "prepared_statement_cache_size",
];
const DJANGO: [&str; 2] = ["conn_max_age", "conn_health_checks"];
const NODE: [&str; 3] = ["uselibpqcompat", "idleTimeoutMillis", "max"];
