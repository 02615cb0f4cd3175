//! A user's own functions, views, types and operators, where the `search_path` finds them before those of Postgres, or
//! as those that fit better: no statement of pglock's uses one.

use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use diesel::{Connection as _, PgConnection};
use pglock::{
    AnyConnection, Connection, Database, Escalate, PrioritizeSideEffect, Terminate, advisory,
    advisory_id,
};
use pglock_tests::{BOUND, TestDb, Waiter, wait_until};
use postgres::{Client, NoTls};

use crate::{acquire, handle, server};

/// All of `pg_catalog` that can be made again, in the schema `shadow`; whatever of it is used raises an error.
const ALL_OF_PG_CATALOG: &str = "\
    CREATE SCHEMA shadow; SET check_function_bodies = off; \
    CREATE FUNCTION shadow.used(what text) RETURNS bool STABLE LANGUAGE plpgsql AS \
      $$ BEGIN RAISE 'a % of the user''s was used', what; END $$; \
    CREATE FUNCTION shadow.counted(int8) RETURNS int8 LANGUAGE sql AS $$ SELECT shadow.used('count')::int::int8 $$; \
    CREATE AGGREGATE shadow.count(*) (sfunc = shadow.counted, stype = int8, initcond = '0'); \
    DO $$ DECLARE it record; BEGIN \
      FOR it IN SELECT proname, proretset, format_type(prorettype, NULL) AS returns, array_to_string(ARRAY( \
          SELECT format_type(a.type, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY a(type, place) ORDER BY place), ', ') AS arguments \
        FROM pg_proc p WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' AND proname <> 'void_send' AND NOT EXISTS ( \
          SELECT FROM unnest(p.proargtypes || p.prorettype) a(type) JOIN pg_type t ON t.oid = a.type \
          WHERE t.typtype = 'p' AND t.typname NOT IN ('anyarray', 'anyelement', 'record', 'void')) \
      LOOP EXECUTE format('CREATE FUNCTION shadow.%I(%s) RETURNS %s %s LANGUAGE plpgsql AS %L', it.proname, it.arguments, \
        CASE WHEN it.proretset THEN 'SETOF' END, it.returns, format('BEGIN PERFORM shadow.used(%L); END', it.proname)); \
      END LOOP; \
      FOR it IN SELECT relname FROM pg_class c WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind IN ('r', 'v') \
        AND NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND atttypid IN ('anyarray'::regtype, 'pg_statistic[]'::regtype)) \
      LOOP EXECUTE format('CREATE VIEW shadow.%I AS SELECT * FROM pg_catalog.%1$I WHERE shadow.used(%1$L)', it.relname); \
      END LOOP; \
      FOR it IN SELECT typname FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype = 'b' AND typcategory <> 'A' \
      LOOP EXECUTE format('CREATE DOMAIN shadow.%I AS pg_catalog.%1$I CHECK (shadow.used(%1$L))', it.typname); \
      END LOOP; \
    END $$";

/// Operators for each two types for which Postgres would have to cast one of them, in the schema `shadow`; whatever of
/// it is used raises an error.
const OPERATORS_THAT_FIT_BETTER: &str = "\
    CREATE SCHEMA shadow; SET check_function_bodies = off; \
    DO $$ DECLARE l text; r text; o text; types text[] := \
      '{int2,int4,int8,oid,text,varchar,name,\"\\\"char\\\"\",numeric,float8,bool,xid,regclass,timestamptz,interval,inet,int4[],oid[],text[],name[]}'; \
    BEGIN FOREACH l IN ARRAY types LOOP FOREACH r IN ARRAY types LOOP \
      EXECUTE format('CREATE FUNCTION shadow.better(%s, %s) RETURNS bool LANGUAGE plpgsql AS %L', \
        l, r, format('BEGIN RAISE ''an operator of the user''''s was used for %s and %s''; END', l, r)); \
      FOREACH o IN ARRAY '{=,<>,<,<=,>,>=,~,~*,!~*,~~,||,+,-,*}'::text[] LOOP \
        IF NOT EXISTS (SELECT FROM pg_operator WHERE oprname = o AND oprleft = l::regtype AND oprright = r::regtype) THEN \
          EXECUTE format('CREATE OPERATOR shadow.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = shadow.better)', o, l, r); \
        END IF; \
      END LOOP; END LOOP; END LOOP; END $$";

#[test]
fn nothing_of_the_same_name_is_used_where_pg_catalog_comes_last() {
    Shadowed::new(ALL_OF_PG_CATALOG, "shadow,pg_catalog").use_everything();
}

#[test]
fn no_operator_is_used_that_fits_better() {
    Shadowed::new(OPERATORS_THAT_FIT_BETTER, "shadow").use_everything();
}

/// A database, and the URL with which its sessions have a `search_path`. The harness' have none.
struct Shadowed {
    db: TestDb,
    url: String,
    here: Database,
}

impl Shadowed {
    fn new(shadow: &str, search_path: &str) -> Self {
        let db = server().create_database();
        db.execute(shadow);
        db.execute("CREATE TABLE public.orders ()");
        let separator = if db.url().contains('?') { '&' } else { '?' };
        let url = format!(
            "{}{separator}options=-csearch_path%3D{}",
            db.url(),
            search_path.replace(',', "%2C")
        );
        let here = handle(&url);
        Self { db, url, here }
    }

    fn connect(&self) -> Client {
        Client::connect(&self.url, NoTls).unwrap()
    }

    fn connect_diesel(&self) -> PgConnection {
        PgConnection::establish(&self.url).unwrap()
    }

    fn use_everything(&self) {
        self.use_own_sessions();
        self.use_connection(&mut self.connect());
        self.use_connection(&mut self.connect_diesel());
        self.use_transaction(&mut self.connect());
        self.look_on(&mut self.connect());
        self.look_on(&mut self.connect_diesel());
        self.act_on(&mut self.connect());
        let whom = "blocking_activity__application_name=blocker";
        let terminate = Terminate::new()
            .filter(whom)
            .unwrap()
            .blocking_duration_gte(Duration::from_millis(1))
            .never_application("pg_dump")
            .never_user("nobody");
        self.prioritize(terminate);
        self.prioritize(Escalate::new().after(Duration::from_millis(100)));
        self.db.wait_for_no_locks();
    }

    fn use_own_sessions(&self) {
        let Self { db, here, .. } = self;
        for xact in [false, true] {
            let guard = acquire("real", xact, here).unwrap();
            let other = Database::builder(db.url()).application_name("other");
            let other = other.build().unwrap();
            assert_eq!(db.held(advisory_id("real")), 1);
            for timeout in [Duration::ZERO, Duration::from_millis(20)] {
                // On a busy machine a timeout ends before the answer to who holds the lock.
                wait_until("the holder is found", BOUND, || {
                    let busy = advisory("real").using(here).timeout(timeout).acquire();
                    busy.unwrap_err().holder().is_some()
                });
            }
            {
                let mut waits = pin!(advisory("real").using(&other).acquire_async());
                let mut context = Context::from_waker(Waker::noop());
                assert!(waits.as_mut().poll(&mut context).is_pending());
                db.wait_for_waiters(1);
            }
            wait_until("it is canceled", BOUND, || {
                db.waiting(advisory_id("real")) == 0
            });
            guard.release().unwrap();
            db.wait_for_no_locks();
        }
        let kept = advisory("kept").hold_at_least(Duration::from_millis(10));
        kept.using(here).acquire().unwrap().release().unwrap();
        db.wait_for_no_locks();
    }

    fn use_connection<C: Connection>(&self, connection: &mut C) {
        for timeout in [Duration::ZERO, Duration::from_secs(1)] {
            let lock = advisory("real").timeout(timeout);
            let mut guard = lock.on(connection).acquire().unwrap();
            assert_eq!(self.db.held(advisory_id("real")), 1);
            let scope = pglock::timeout(Duration::from_secs(1)).on(&mut guard);
            scope.unwrap().restore().unwrap();
            guard.release().unwrap();
            assert!(self.db.advisory_locks().is_empty());
        }
    }

    fn use_transaction(&self, client: &mut Client) {
        let mut other = self.connect();
        let (mut tx, mut other) = (client.transaction().unwrap(), other.transaction().unwrap());
        for timeout in [Duration::ZERO, Duration::from_millis(20)] {
            let lock = || advisory("real").timeout(timeout);
            lock().acquire_xact(&mut tx).unwrap();
            assert_eq!(self.db.held(advisory_id("real")), 1);
            let busy = lock().acquire_xact(&mut other);
            assert!(busy.unwrap_err().holder().is_some());
            let table = || pglock::table("public.orders").timeout(timeout);
            table().lock(&mut tx).unwrap();
            let busy = table().lock(&mut other);
            assert!(busy.unwrap_err().holder().is_some());
        }
    }

    fn look_on<C: AnyConnection>(&self, connection: &mut C) {
        let mut holder = self.db.connect_as("blocker");
        holder.batch_execute("BEGIN; LOCK TABLE orders").unwrap();
        let waiter = Waiter::start(&self.db, WAITS);
        let locks = || pglock::locks().on(["public.orders"]).limit(9);
        assert_eq!(locks().fetch(connection).unwrap().len(), 2);
        let blocked = || pglock::blocked_locks().pid([waiter.pid]);
        assert_eq!(blocked().fetch(connection).unwrap().len(), 1);
        for filter in FILTERS {
            let mut found = 0;
            for locks in [
                locks().granted(true).filter(filter),
                locks().granted(true).exclude(filter),
            ] {
                found += locks.unwrap().fetch(connection).unwrap().len();
            }
            assert_eq!(found, 1, "{filter}");
        }
        let graph = pglock::wait_graph().pid([waiter.pid]).on(["public.orders"]);
        let graph = graph.fetch(connection).unwrap();
        assert_eq!(graph.roots().len(), 1);
        holder.batch_execute("COMMIT").unwrap();
        waiter.finish();
    }

    fn act_on<C: AnyConnection>(&self, connection: &mut C) {
        let mut holder = self.db.connect_as("blocker");
        holder.batch_execute("BEGIN; LOCK TABLE orders").unwrap();
        let waiter = || Waiter::start(&self.db, WAITS);
        let first = waiter();
        let waits = pglock::locks().granted(false);
        assert_eq!(waits.cancel_activity(connection).unwrap(), [first.pid]);
        first.was_canceled();
        let second = waiter();
        let blocked = pglock::blocked_locks().terminate_blocking_activity(connection);
        assert_eq!(blocked.unwrap().len(), 1);
        second.finish();
    }

    fn prioritize(&self, side_effect: impl PrioritizeSideEffect) {
        let mut blocker = self.db.connect_as("blocker");
        blocker.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
        let mut client = self.connect();
        let section = pglock::prioritize()
            .using(&self.here)
            .interval(Duration::from_millis(50))
            .timeout(BOUND)
            .side_effect(side_effect);
        let mut section = section.on(&mut client).unwrap();
        section
            .batch_execute("SELECT pg_catalog.pg_advisory_lock(1)")
            .unwrap();
        assert_eq!(section.finish().unwrap().signaled().len(), 1);
    }
}

const WAITS: &str = "BEGIN; LOCK TABLE orders; COMMIT";

/// Each lookup, on a column of each type.
const FILTERS: &[&str] = &[
    "kind=RELATION",
    "kind__in=RELATION,TUPLE",
    "mode__contains=exclusive",
    "rel_name__iexact=ORDERS",
    "rel_name__gt=a",
    "rel_name__gte=a",
    "rel_name__lt=z",
    "rel_name__lte=z",
    "rel_name__range=a,z",
    "rel_name__icontains=RDE",
    "rel_name__startswith=ord",
    "rel_name__istartswith=ORD",
    "rel_name__endswith=ers",
    "rel_name__iendswith=ERS",
    "rel_name__regex=^o",
    "rel_name__iregex=^O",
    "rel_name__isnull=False",
    "schema=public",
    "rel_kind=TABLE",
    "granted=True",
    "pid__gt=0",
    "pid__in=1,2",
    "classid__isnull=True",
    "classid=1",
    "objid__lt=1",
    "objsubid=1",
    "objsubid__range=1,2",
    "wait_start__lt=2030-01-01",
    "wait_duration__gte=1 second",
    "activity__start__gt=2020-01-01",
    "activity__duration__gte=0 seconds",
    "activity__duration__range=0 seconds,1 day",
    "activity__query__contains=LOCK",
    "activity__context=x",
    "activity__state=IDLE_IN_TRANSACTION",
    "activity__backend_start__range=2020-01-01,2100-01-01",
    "activity__wait_event_type=CLIENT",
    "activity__backend_xid=1",
    "activity__backend_type__contains=CLIENT",
    "activity__application_name=blocker",
    "activity__user=x",
    "activity__client_addr=x",
    "activity__client_port=1",
];
