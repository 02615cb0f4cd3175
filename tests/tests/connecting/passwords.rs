//! Passwords that change while a program runs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pglock::{Database, DatabaseBuilder, advisory};
use pglock_tests::{BOUND, Child, background, child, server as shared_server, wait_until};

use crate::{PASSWORD, server, user_of};

/// The role with a password, and no password in the URL.
fn scram() -> DatabaseBuilder {
    let url = server().tcp_url("postgres");
    Database::builder(url.replace("postgres@", "scram@"))
}

#[test]
fn each_new_session_asks_for_one() {
    let (now, asked) = (
        Arc::new(Mutex::new(PASSWORD)),
        Arc::<AtomicUsize>::default(),
    );
    let here = scram().application_name("asks").password_with({
        let (now, asked) = (Arc::clone(&now), Arc::clone(&asked));
        move || {
            asked.fetch_add(1, Ordering::Relaxed);
            Ok::<_, std::convert::Infallible>(*now.lock().unwrap())
        }
    });
    let here = here.build().unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    assert_eq!(user_of(&here).unwrap(), "scram");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    // Its session is there.
    assert_eq!(user_of(&here).unwrap(), "scram");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    here.close();
    *now.lock().unwrap() = "hunter3";
    let error = user_of(&here).unwrap_err().to_string();
    assert!(
        error.contains("the password is wrong") && !error.contains("hunter"),
        "{error}"
    );
    *now.lock().unwrap() = PASSWORD;
    wait_until("the right one is used", BOUND, || user_of(&here).is_ok());
}

#[tokio::test]
async fn a_future_is_awaited_for_it() {
    let here = scram().password_with_async(|| async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok::<_, std::io::Error>(PASSWORD)
    });
    let here = here.build().unwrap();
    here.ping_async().await.unwrap();
    // That of the URL is not looked at.
    let url = server()
        .tcp_url("postgres")
        .replace("postgres@", "scram:hunter3@");
    let here =
        Database::builder(url).password_with_async(|| async { Ok::<_, std::io::Error>(PASSWORD) });
    here.build().unwrap().ping_async().await.unwrap();
}

#[test]
fn a_function_that_fails_panics_or_hangs_is_a_failure_to_connect() {
    fn refused(builder: DatabaseBuilder, says: &str) {
        let error = builder.build().unwrap().ping().unwrap_err();
        assert!(error.is_connect(), "{error:?}");
        assert!(
            error.to_string().contains("`password_with` failed"),
            "{error}"
        );
        assert!(format!("{error:?}").contains(says), "{error:?}");
    }
    let at_once = |says: &'static str| move || Err::<String, _>(says);
    refused(scram().password_with(at_once("no token")), "no token");
    refused(
        scram().password_with_async(|| async { Err::<String, _>("no token") }),
        "no token",
    );
    refused(
        scram().password_with(|| -> Result<String, String> { panic!("a test asked for it") }),
        "panic",
    );
    let panics = || async { panic!("a test asked for it") };
    refused(
        scram().password_with_async::<String, String, _>(panics),
        "panic",
    );
    let url = format!("{}?connect_timeout=1", server().tcp_url("postgres"));
    let hangs = Database::builder(url).password_with(|| {
        std::thread::sleep(Duration::from_secs(3));
        Ok::<_, std::io::Error>("")
    });
    let began = Instant::now();
    refused(hangs, "did not return in time");
    assert!(began.elapsed() < Duration::from_secs(2));
    // Nor has any of them taken pglock's thread along.
    assert!(
        user_of(
            &scram()
                .password_with(|| Ok::<_, String>(PASSWORD))
                .build()
                .unwrap()
        )
        .is_ok()
    );
}

#[test]
fn a_function_that_blocks_keeps_no_other_database_waiting() {
    let (entered, leave) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let slow = scram().password_with({
        let (entered, leave) = (Arc::clone(&entered), Arc::clone(&leave));
        move || {
            entered.store(1, Ordering::SeqCst);
            while leave.load(Ordering::SeqCst) == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok::<_, String>(PASSWORD)
        }
    });
    let slow = slow.build().unwrap();
    let waits = background("it is let go", move || slow.ping());
    wait_until("it is asked", BOUND, || entered.load(Ordering::SeqCst) == 1);
    let other = Database::builder(shared_server().url("postgres"));
    let other = other.build().unwrap();
    let pings = background("it answers meanwhile", move || other.ping());
    pings.finish(BOUND).unwrap();
    leave.store(1, Ordering::SeqCst);
    waits.finish(BOUND).unwrap();
}

#[test]
fn other_credentials_for_the_same_database_can_be_set_again() {
    if child::role().is_some() {
        let url = child::argument("URL");
        let with = |login: &str| url.replace("postgres@", &format!("{login}@"));
        pglock::configure(with("scram:hunter2").as_str()).unwrap();
        let using = || pglock::Using::from("default").database().unwrap();
        assert_eq!(user_of(&using()).unwrap(), "scram");
        let held = advisory("held").acquire().unwrap();
        pglock::configure(with("scram:hunter3").as_str()).unwrap();
        // Sessions that are open go on; a new one logs in anew.
        assert_eq!(user_of(&using()).unwrap(), "scram");
        assert!(
            advisory("new")
                .dedicated()
                .acquire()
                .unwrap_err()
                .is_connect()
        );
        let right = || Ok::<_, String>(PASSWORD);
        let asks = Database::builder(with("scram"))
            .password_with(right)
            .build()
            .unwrap();
        pglock::configure(asks).unwrap();
        wait_until("it logs in", BOUND, || {
            advisory("new").dedicated().acquire().is_ok()
        });
        // Another user, as of a service that hands out roles.
        pglock::configure(with("postgres").as_str()).unwrap();
        let other = advisory("other").dedicated().acquire().unwrap();
        let busy = advisory("other")
            .timeout(Duration::ZERO)
            .acquire()
            .unwrap_err();
        assert_eq!(busy.holder().unwrap().user.as_deref(), Some("postgres"));
        other.release().unwrap();
        held.release().unwrap();
        let elsewhere = with("scram:hunter2").replace("/postgres", "/template1");
        assert!(
            pglock::configure(elsewhere.as_str())
                .unwrap_err()
                .is_config()
        );

        let named = |login: &str| {
            Database::builder(with(login))
                .build()
                .unwrap()
                .register("named")
        };
        named("scram:hunter3").unwrap();
        assert!(
            pglock::Using::from("named")
                .database()
                .unwrap()
                .ping()
                .is_err()
        );
        named("scram:hunter2").unwrap();
        wait_until("it logs in", BOUND, || {
            pglock::Using::from("named")
                .database()
                .unwrap()
                .ping()
                .is_ok()
        });
        return child::say("ok");
    }
    let test = "passwords::other_credentials_for_the_same_database_can_be_set_again";
    let url = server().tcp_url("postgres");
    let mut program = Child::of(test, "program").argument("URL", url).start();
    program.wait_for_line("ok", BOUND);
    program.finish(BOUND);
}

#[test]
fn handles_with_other_passwords_are_other_databases() {
    let url = |password: &str| format!("postgres://app:{password}@localhost/app");
    let database = |password| Database::builder(url(password)).build().unwrap();
    assert_eq!(database("a"), database("a"));
    assert_ne!(database("a"), database("b"));
    let asks = || scram().password_with(|| Ok::<_, String>(PASSWORD));
    let builder = asks();
    assert_eq!(builder.clone().build().unwrap(), builder.build().unwrap());
    assert_ne!(asks().build().unwrap(), asks().build().unwrap());
}
