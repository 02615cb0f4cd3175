//! Filters in django-pglock's syntax, on a real server: what each lookup finds, and what is refused. That no text breaks
//! out of its value is in `quoting.rs`.

use std::collections::BTreeSet;
use std::time::SystemTime;

use pglock::Locks;
use pglock_tests::{TestDb, database};
use postgres::Client;
use tokio_postgres::error::SqlState;

use crate::pid_of;

/// Tables whose names have in them what means something in patterns.
const TABLES: [&str; 6] = ["a%b", "a_b", "axb", "AXBC", r"a\b", "zébra"];

/// A database with those tables, and a session that has them locked.
struct Locked {
    _db: TestDb,
    holder: Client,
    client: Client,
}

impl Locked {
    fn tables() -> Locked {
        let db = database();
        let mut holder = db.connect_as("it's me, 100%");
        for table in TABLES {
            db.execute(&format!("CREATE TABLE \"{table}\" ()"));
        }
        holder.batch_execute("BEGIN").unwrap();
        for table in TABLES {
            holder
                .batch_execute(&format!("LOCK TABLE \"{table}\""))
                .unwrap();
        }
        let client = db.connect();
        Locked {
            _db: db,
            holder,
            client,
        }
    }

    /// Which of the tables are found.
    fn found(&mut self, locks: Locks) -> BTreeSet<String> {
        let locks = locks.on(TABLES).fetch(&mut self.client).unwrap();
        locks.into_iter().filter_map(|lock| lock.rel_name).collect()
    }
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn each_lookup_of_a_text_finds_what_it_says_and_exclude_the_rest() {
    let mut locked = Locked::tables();
    let all = set(&TABLES);
    for (filter, expected) in [
        ("rel_name=axb", &["axb"][..]),
        ("rel_name__exact=axb", &["axb"]),
        ("rel_name=", &[]),
        ("rel_name__iexact=axbC", &["AXBC"]),
        ("rel_name__contains=%", &["a%b"]),
        ("rel_name__contains=_", &["a_b"]),
        ("rel_name__contains=\\", &[r"a\b"]),
        ("rel_name__contains=XB", &["AXBC"]),
        ("rel_name__icontains=XB", &["axb", "AXBC"]),
        ("rel_name__startswith=a%", &["a%b"]),
        ("rel_name__startswith=ax", &["axb"]),
        ("rel_name__istartswith=ax", &["axb", "AXBC"]),
        ("rel_name__endswith=_b", &["a_b"]),
        ("rel_name__endswith=é", &[]),
        ("rel_name__endswith=bra", &["zébra"]),
        ("rel_name__iendswith=BC", &["AXBC"]),
        ("rel_name__endswith=", &TABLES),
        ("rel_name__regex=^a.b$", &["a%b", "a_b", "axb", r"a\b"]),
        ("rel_name__iregex=^ax", &["axb", "AXBC"]),
        ("rel_name__in=axb,AXBC,none", &["axb", "AXBC"]),
        ("rel_name__range=ay,zéz", &["zébra"]),
        ("rel_name__gt=axb", &["zébra"]),
        ("rel_name__gte=axb", &["axb", "zébra"]),
        ("rel_name__lt=B", &["AXBC"]),
        ("rel_name__lte=AXBC", &["AXBC"]),
        ("rel_name__isnull=False", &TABLES),
        ("rel_name__isnull=True", &[]),
        ("schema=public", &TABLES),
        ("type=RELATION", &TABLES),
        ("kind__in=TUPLE,PAGE", &[]),
        ("mode=access exclusive", &TABLES),
        ("mode__iexact=access_exclusive", &TABLES),
        ("mode__endswith=EXCLUSIVE", &TABLES),
        ("mode__contains=SHARE", &[]),
        ("rel_kind=TABLE", &TABLES),
        ("granted=True", &TABLES),
        ("granted=false", &[]),
        ("granted__in=True,False", &TABLES),
        ("wait_duration__isnull=True", &TABLES),
        ("activity__state=IDLE_IN_TRANSACTION", &TABLES),
        ("activity__state__startswith=IDLE", &TABLES),
        ("activity__state__in=ACTIVE,IDLE", &[]),
        ("activity__application_name=it's me, 100%", &TABLES),
        ("activity__query__icontains=lock table", &TABLES),
        ("activity__context__isnull=True", &TABLES),
        ("activity__duration__gte=0", &TABLES),
        ("activity__duration__lt=1 day", &TABLES),
        ("activity__duration__range=1 day,2 days", &[]),
        ("activity__backend_start__gt=2001-01-01 00:00+00", &TABLES),
        ("activity__xact_start__lt=2001-01-01 00:00+00", &[]),
        ("activity__client_port__lt=70000", &TABLES),
        ("activity__isnull=False", &TABLES),
        ("classid__isnull=True", &TABLES),
    ] {
        let expected = set(expected);
        let filtered = pglock::locks().filter(filter).unwrap();
        assert_eq!(locked.found(filtered), expected, "{filter}");
        let others = pglock::locks().exclude(filter).unwrap();
        let rest = all.difference(&expected).cloned().collect();
        assert_eq!(locked.found(others), rest, "exclude {filter}");
    }
    drop(locked.holder);
}

#[test]
fn filters_narrow_each_other() {
    let mut locked = Locked::tables();
    let locks = pglock::locks()
        .filter("rel_name__startswith=a")
        .unwrap()
        .exclude("rel_name__contains=%")
        .unwrap()
        .exclude("rel_name__regex=[_x]")
        .unwrap();
    assert_eq!(locked.found(locks.clone()), set(&[r"a\b"]));
    let none = locks.filter("rel_name=axb").unwrap();
    assert_eq!(locked.found(none), set(&[]));
}

#[test]
fn what_is_not_known_is_not_excluded() {
    let db = database();
    let mut client = db.connect();
    client.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
    let advisory = pglock::locks().filter("kind=ADVISORY").unwrap();
    let without = advisory.clone().exclude("wait_duration__gt=1 second");
    assert_eq!(without.unwrap().fetch(&mut client).unwrap().len(), 1);
    let with = advisory.filter("wait_duration__lte=1 second").unwrap();
    assert!(with.fetch(&mut client).unwrap().is_empty());
}

#[test]
fn pids_are_fields_too() {
    let mut locked = Locked::tables();
    let pid = pid_of(&mut locked.holder);
    for filter in [
        format!("pid={pid}"),
        format!("activity_id= {pid} "),
        format!("activity={pid}"),
        format!("activity__pid__in=0,{pid}"),
        format!("activity__id__range={pid},{pid}"),
        format!("activity__gte={pid}"),
    ] {
        let locks = pglock::locks().pid([pid]).filter(&filter).unwrap();
        assert_eq!(locked.found(locks), set(&TABLES), "{filter}");
    }
    let none = pglock::locks().filter(format!("pid__gt={}", i64::MAX));
    assert_eq!(locked.found(none.unwrap()), set(&[]));
}

#[test]
fn a_session_is_found_by_the_time_that_it_was_seen_with() {
    let mut locked = Locked::tables();
    let locks = pglock::locks().on(["axb"]).fetch(&mut locked.client);
    let seen = locks.unwrap()[0].activity.backend_start.unwrap();
    let micros = seen
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_micros();
    let told: String = locked
        .client
        .query_one(
            &format!("SELECT (timestamptz 'epoch' + {micros} * interval '1 microsecond')::text"),
            &[],
        )
        .unwrap()
        .get(0);
    let filter = format!("activity__backend_start={told}");
    let locks = pglock::locks().filter(filter).unwrap();
    assert_eq!(locked.found(locks), set(&TABLES));
}

#[test]
fn what_the_server_can_not_read_is_its_error() {
    let db = database();
    let mut client = db.connect();
    for (filter, state) in [
        (
            "wait_duration__gt=a while",
            SqlState::INVALID_DATETIME_FORMAT,
        ),
        (
            "activity__xact_start__gt=soon",
            SqlState::INVALID_DATETIME_FORMAT,
        ),
        ("rel_name__regex=(", SqlState::INVALID_REGULAR_EXPRESSION),
    ] {
        let locks = pglock::locks().filter(filter).unwrap();
        let error = locks.clone().fetch(&mut client).unwrap_err();
        assert!(error.is_database(), "{filter}: {error}");
        assert_eq!(error.sql_state(), Some(&state), "{filter}");
        let text = error.to_string();
        assert!(
            text.contains("the value of a filter") && text.contains("{:?}"),
            "{text}"
        );
        assert!(format!("{error:?}").contains("invalid"), "{error:?}");
        let error = locks.terminate_activity(&mut client).unwrap_err();
        assert_eq!(error.sql_state(), Some(&state), "{filter}");
    }
}

#[test]
fn mistakes_are_refused_before_the_server_is_asked() {
    for (filter, said) in [
        ("granted", "no `=`"),
        ("granted=maybe", "True or False"),
        ("pid=one", "an integer"),
        ("pid__in=1,,2", "an integer"),
        ("wait_duration__range=1 second", "1 values"),
        ("kind=TABLE", "\"TABLE\""),
        ("kind=TABLE", "write one of RELATION, EXTEND"),
        ("wait_duration__near=1 second", "range"),
        ("relname=orders", "rel_name"),
        ("blocking_activity__pid=1", "activity__pid"),
        ("rel_name=a\0", "NUL"),
    ] {
        let error = pglock::locks().filter(filter).unwrap_err();
        assert!(error.is_config(), "{error}");
        assert!(error.to_string().contains(said), "{error}");
        assert!(pglock::locks().exclude(filter).is_err(), "{filter}");
    }
    assert!(
        pglock::blocked_locks()
            .filter("blocking_activity__pid=1")
            .is_ok()
    );
}
