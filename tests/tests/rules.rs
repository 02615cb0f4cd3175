//! What is done once a lock has been granted: runs that are due, and tokens.

use std::time::{Duration, SystemTime};

use pglock::{Advisory, Database, Error};
use pglock_tests::{BOUND, Child, Server, TestDb, child, database};

const HOUR: Duration = Duration::from_secs(60 * 60);

fn handle(db: &TestDb, name: &str) -> Database {
    let builder = Database::builder(db.url()).application_name(name.to_owned());
    builder.build().unwrap()
}

fn digest(here: &Database) -> Advisory {
    pglock::advisory("digest").using(here).once_in(HOUR)
}

/// As if the last run had begun so much earlier.
fn let_pass(db: &TestDb, minutes: u32) {
    db.execute(&format!(
        "UPDATE pglock.runs SET started = started - interval '{minutes} minutes'"
    ));
}

#[test]
fn it_runs_once_in_the_time_whoever_runs_it() {
    let db = database();
    let (here, there) = (handle(&db, "here"), handle(&db, "there"));
    let ran = |here: &Database| {
        digest(here)
            .try_run(|| Ok::<_, Error>(()))
            .unwrap()
            .is_some()
    };
    assert!(ran(&there));
    assert!(!ran(&here) && !ran(&there));
    let error = digest(&here).acquire().unwrap_err();
    assert!(error.is_busy() && error.holder().is_none(), "{error}");
    let text = error.to_string();
    assert!(
        text.starts_with("lock \"digest\" is not due: it was run by \"pglock: there\""),
        "{text}"
    );
    assert!(text.ends_with("ago, and is run once in 1 h"), "{text}");
    let last = error.last_run().unwrap();
    assert_eq!(last.application_name, "pglock: there");
    assert!(last.ago < HOUR && last.once_in == HOUR, "{last:?}");
    assert!(error.hint().unwrap().contains("55m"));
    let_pass(&db, 59);
    assert!(!ran(&here));
    let_pass(&db, 1);
    assert!(ran(&here));
    assert!(!ran(&here));
    // Others have times of their own.
    let other = pglock::advisory(7).using(&here).once_in(HOUR);
    assert!(other.try_run(|| Ok::<_, Error>(())).unwrap().is_some());
    db.wait_for_no_locks();
}

#[test]
fn of_many_that_start_at_once_one_runs() {
    let db = database();
    let handles: Vec<_> = (0..6)
        .map(|nth| handle(&db, &format!("host {nth}")))
        .collect();
    let ran: usize = std::thread::scope(|scope| {
        let runs: Vec<_> = handles
            .iter()
            .map(|here| {
                // They wait for each other, and are not due then. None has made the table before.
                scope.spawn(|| match digest(here).run(|| Ok::<_, Error>(1)) {
                    Ok(ran) => ran,
                    Err(error) => {
                        assert!(error.is_busy(), "{error:?}");
                        0
                    }
                })
            })
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).sum()
    });
    assert_eq!(ran, 1);
}

#[test]
fn a_run_that_failed_has_run_and_one_that_found_the_lock_busy_has_not() {
    let db = database();
    let (here, there) = (handle(&db, "here"), handle(&db, "there"));
    let held = pglock::advisory("digest").using(&there).acquire().unwrap();
    assert!(digest(&here).try_acquire().unwrap().is_none());
    held.release().unwrap();
    let failed = digest(&here).run(|| Err::<(), _>(Box::<dyn std::error::Error>::from("failed")));
    assert_eq!(failed.unwrap_err().to_string(), "failed");
    assert!(digest(&there).try_acquire().unwrap().is_none());
}

#[test]
fn the_clocks_of_the_hosts_do_not_matter() {
    const TEST: &str = "the_clocks_of_the_hosts_do_not_matter";
    if child::role().is_some() {
        let clock = SystemTime::UNIX_EPOCH.elapsed().unwrap();
        child::say(&format!("clock {}", clock.as_secs()));
        let here = Database::builder(child::argument("URL")).build().unwrap();
        while child::hear().is_some() {
            let ran = digest(&here).try_run(|| Ok::<_, Error>(())).unwrap();
            child::say(&format!("ran {}", ran.is_some()));
        }
        return;
    }
    let db = database();
    let mut hosts = ["-1h", "+1h"].map(|clock| {
        let host = Child::of(TEST, "host").argument("URL", db.url());
        host.clock(clock).start()
    });
    let clocks = hosts.each_mut().map(|host| {
        let clock = host.wait_for_line("clock", BOUND);
        clock.parse::<u64>().unwrap()
    });
    assert!(clocks[1] >= clocks[0] + 2 * HOUR.as_secs(), "{clocks:?}");
    let [behind, ahead] = &mut hosts;
    let ran = |host: &mut Child| {
        host.send_line("run");
        host.wait_for_line("ran", BOUND) == "true"
    };
    // By its own clock it would be due there, and by no means where the other one's time has not come yet.
    assert!(ran(behind) && !ran(ahead) && !ran(behind));
    let_pass(&db, 60);
    assert!(ran(ahead) && !ran(behind) && !ran(ahead));
    let_pass(&db, 60);
    assert!(ran(behind));
}

#[test]
fn a_run_whose_process_was_killed_counts_from_its_begin() {
    const TEST: &str = "a_run_whose_process_was_killed_counts_from_its_begin";
    if child::role().is_some() {
        let here = Database::builder(child::argument("URL")).build().unwrap();
        let body = || {
            child::say("begun");
            child::wait_for_end();
            Ok::<_, Error>(())
        };
        return digest(&here).run(body).unwrap();
    }
    let db = database();
    let mut other = Child::of(TEST, "host").argument("URL", db.url()).start();
    other.wait_for_line("begun", BOUND);
    // It has run for so long when it dies.
    let_pass(&db, 59);
    other.kill();
    db.wait_for_no_locks();
    let here = handle(&db, "here");
    assert!(digest(&here).try_acquire().unwrap().is_none());
    let_pass(&db, 1);
    digest(&here).acquire().unwrap().release().unwrap();
}

#[test]
fn what_to_write_fits_the_period() {
    let db = database();
    let here = handle(&db, "here");
    let hint = |seconds| {
        let period = Duration::from_secs(seconds);
        let id = format!("each {seconds}");
        let lock = || pglock::advisory(&*id).using(&here).once_in(period);
        lock().acquire().unwrap().release().unwrap();
        let error = lock().acquire().unwrap_err();
        error.hint().unwrap().to_owned()
    };
    for (seconds, says) in [
        (3_600, "55m"),
        (24 * 3_600, "23h"),
        (3_300, "a little less"),
        (60, "a little less"),
        (7 * 24 * 3_600, "a little less"),
    ] {
        let hint = hint(seconds);
        assert!(hint.contains(says), "{seconds}: {hint}");
        assert_eq!(hint.contains("hour"), seconds == 3_600, "{hint}");
        assert_eq!(hint.contains("day"), seconds == 24 * 3_600, "{hint}");
    }
}

#[test]
fn of_those_that_share_the_lock_one_runs_in_the_time() {
    #[pglock::advisory("digest", shared, once_in = "1h", using = here)]
    fn begins(here: &Database) -> Result<(), Error> {
        Ok(())
    }

    let db = database();
    let (here, there) = (handle(&db, "here"), handle(&db, "there"));
    let reader = || pglock::advisory("digest").using(&there).shared();
    let running = digest(&here).shared().acquire().unwrap();
    // Who reads is beside it, another run is not due, and who writes finds it busy.
    drop(reader().try_acquire().unwrap().expect("it is shared"));
    assert!(begins(&there).unwrap_err().last_run().is_some());
    let writer = pglock::advisory("digest").using(&there);
    assert!(writer.try_acquire().unwrap().is_none());
    // The time is over, and the run is not: the next one is beside it.
    let_pass(&db, 60);
    begins(&there).unwrap();
    running.release().unwrap();
}

#[test]
fn the_attribute_skips_what_is_not_due() {
    #[pglock::advisory("skipped-{customer}", timeout = 0, side_effect = Skip, once_in = "55m", using = here)]
    async fn digest(here: &Database, customer: u32) -> Result<Option<u32>, Error> {
        Ok(Some(customer))
    }

    let db = database();
    let here = handle(&db, "here");
    let run = |customer| pollster::block_on(digest(&here, customer)).unwrap();
    assert_eq!(
        [run(1), run(1), run(2), run(2)],
        [Some(1), None, Some(2), None]
    );
}

#[test]
fn a_role_that_may_not_make_the_table_is_told_what_to_run() {
    let server = Server::start();
    let db = server.create_database();
    db.execute("CREATE ROLE worker LOGIN");
    let url = db.url().replacen("postgres@", "worker@", 1);
    assert_ne!(url, db.url());
    let here = Database::builder(&url).build().unwrap();
    let error = digest(&here).acquire().unwrap_err();
    assert!(error.is_config(), "{error:?}");
    assert!(error.to_string().contains("`pglock::schema()`"), "{error}");
    let said = format!("{error:?}");
    let (_, causes) = said.split_once("caused by: ").unwrap();
    assert!(causes.starts_with("ERROR: permission denied"), "{said}");
    assert!(!causes.contains("caused by"), "{said}");
    db.wait_for_no_locks();
    db.execute(pglock::schema());
    assert!(digest(&here).acquire().unwrap_err().is_config());
    db.execute(
        "GRANT USAGE ON SCHEMA pglock TO worker; GRANT SELECT, INSERT, UPDATE ON pglock.runs TO worker",
    );
    digest(&here).acquire().unwrap().release().unwrap();
    assert!(digest(&here).try_acquire().unwrap().is_none());
    // A name that the server's encoding may lack characters of.
    let odd = pglock::advisory("it's \\ größe-日本")
        .using(&here)
        .once_in(HOUR);
    odd.clone().acquire().unwrap().release().unwrap();
    assert!(odd.try_acquire().unwrap().is_none());
}

#[test]
fn what_cannot_be_is_refused() {
    let db = database();
    let here = handle(&db, "here");
    let lock = || pglock::advisory("digest").using(&here);
    let mut client = db.connect();
    let refused = [
        lock().once_in(Duration::ZERO).acquire().unwrap_err(),
        lock().once_in(Duration::MAX).acquire().unwrap_err(),
        digest(&here).xact().acquire().unwrap_err(),
        lock().fenced().xact().acquire().unwrap_err(),
        lock().fenced().shared().acquire().unwrap_err(),
        lock().shared().fenced().try_acquire().unwrap_err(),
        digest(&here)
            .on(&mut client)
            .acquire()
            .map(drop)
            .unwrap_err(),
        lock()
            .fenced()
            .on(&mut client)
            .acquire()
            .map(drop)
            .unwrap_err(),
        pglock::token().unwrap_err(),
        lock().run(pglock::token).unwrap_err(),
    ];
    for error in refused {
        assert!(error.is_config(), "{error:?}");
    }
    assert!(lock().acquire().unwrap().token().is_none());
}

#[test]
fn a_call_inside_one_that_holds_the_lock_without_it_is_refused() {
    let db = database();
    let here = handle(&db, "here");
    let lock = || pglock::advisory("digest").using(&here);
    let nothing = || Ok::<_, Error>(());
    lock()
        .run(|| {
            let error = digest(&here).run(nothing).unwrap_err();
            assert!(error.is_config(), "{error:?}");
            let error = lock().fenced().run(nothing).unwrap_err();
            assert!(error.is_config(), "{error:?}");
            Ok::<_, Error>(())
        })
        .unwrap();
    // What the outer one has, the inner one shares.
    let both = || digest(&here).fenced();
    both()
        .run(|| lock().fenced().run(|| digest(&here).run(nothing)))
        .unwrap();
}

#[test]
fn each_holder_has_a_larger_token() {
    #[pglock::advisory("ledger", fenced, using = here)]
    fn post(here: &Database) -> Result<(u64, u64), Error> {
        let inner = pglock::advisory("ledger").using(here).run(pglock::token)?;
        Ok((pglock::token()?, inner))
    }

    let db = database();
    let handles = [handle(&db, "here"), handle(&db, "there")];
    let mut last = 0;
    for nth in 0..6 {
        let (token, inner) = post(&handles[nth % 2]).unwrap();
        assert!(token > last, "{token} after {last}");
        assert_eq!(inner, token);
        last = token;
        let guard = pglock::advisory("other").using(&handles[0]).fenced();
        let guard = pollster::block_on(guard.acquire_async()).unwrap();
        assert!(guard.token().unwrap() > last);
    }
}

#[test]
fn tokens_rise_also_over_a_crash_of_the_server() {
    let server = Server::start();
    // What would forget them soonest.
    let db = server.create_database();
    db.execute(&format!(
        "ALTER DATABASE {} SET synchronous_commit = off",
        db.name()
    ));
    let mut last = 0;
    for _ in 0..20 {
        let here = handle(&db, "here");
        let guard = pglock::advisory("ledger")
            .using(&here)
            .fenced()
            .acquire()
            .unwrap();
        let token = guard.token().unwrap();
        assert!(token > last, "{token} after {last}");
        last = token;
        server.kill();
        drop(guard);
        server.restart();
    }
}
