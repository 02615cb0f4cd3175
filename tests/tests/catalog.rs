//! What a program says of its annotated functions.
#![allow(dead_code, reason = "the functions are only looked at")]

use std::process::{Command, Output};
use std::time::Duration;

use pglock::{CatalogEntry, Error, LockId};

const TWO: &str = "two";

#[pglock::advisory("nightly-report", timeout = "30s", side_effect = Skip)]
fn report() -> Result<(), Error> {
    Ok(())
}

#[pglock::advisory("invoices-{customer}", shared)]
async fn bill(customer: u32) -> Result<(), Error> {
    Ok(())
}

#[pglock::limit(3, "sms", timeout = "1m")]
fn text_message() -> Result<(), Error> {
    Ok(())
}

#[pglock::advisory(all("account-{from}", "ledger", 7), timeout = 0)]
fn transfer(from: u32) -> Result<(), Error> {
    Ok(())
}

#[pglock::advisory("digest", once_in = "55m", fenced)]
fn digest() -> Result<(), Error> {
    Ok(())
}

#[pglock::retry(tries = 9, prioritize_from = 4)]
fn migrate(client: &mut postgres::Client) -> Result<(), Box<dyn std::error::Error>> {
    Ok(client.batch_execute("SELECT 1")?)
}

#[pglock::advisory]
fn named_after_itself() -> Result<(), Error> {
    Ok(())
}

#[pglock::advisory(-7)]
fn by_a_number() -> Result<(), Error> {
    Ok(())
}

#[pglock::advisory((1, 2))]
fn by_a_pair() -> Result<(), Error> {
    Ok(())
}

#[pglock::advisory(lock_id = TWO, timeout = Duration::from_secs(1))]
fn by_an_expression() -> Result<(), Error> {
    Ok(())
}

#[pglock::advisory("outer")]
#[pglock::prioritize(timeout = "10s", side_effect = Cancel)]
#[pglock::timeout("3s")]
fn under_three(client: &mut postgres::Client) -> Result<(), Box<dyn std::error::Error>> {
    Ok(client.batch_execute("SELECT 1")?)
}

#[pglock::advisory("in-transaction", xact)]
fn in_a_transaction(
    client: &mut postgres::Transaction<'_>,
) -> Result<(), Box<dyn std::error::Error>> {
    Ok(client.batch_execute("SELECT 1")?)
}

struct Jobs;

impl Jobs {
    #[pglock::advisory("of-any-type")]
    fn generic<T>(_: &T) -> Result<(), Error> {
        // A name that the expansion uses too.
        const SITE: &str = "site";
        assert_eq!(SITE, "site");
        Ok(())
    }
}

fn entries_of(function: &str) -> Vec<CatalogEntry> {
    let path = format!("catalog::{function}");
    let catalog = pglock::catalog();
    let of_it = catalog.iter().filter(|entry| entry.function == path);
    of_it.cloned().collect()
}

fn entry_of(function: &str) -> CatalogEntry {
    let entries = entries_of(function);
    assert_eq!(entries.len(), 1, "{entries:?}");
    entries.into_iter().next().unwrap()
}

#[test]
fn each_attribute_is_described() {
    let report = entry_of("report");
    assert_eq!(
        report.to_string(),
        format!(
            "tests/tests/catalog.rs:{}: catalog::report: advisory \"nightly-report\", timeout 30 s, Skip",
            report.line
        )
    );
    assert_eq!(report.lock, Some("nightly-report".into()));
    assert_eq!(report.timeout, Some(Duration::from_secs(30)));
    let bill = entry_of("bill");
    assert_eq!((bill.id, &bill.lock), (Some("invoices-{customer}"), &None));
    assert!(bill.shared && bill.timeout.is_none() && bill.side_effect.is_none());
    let own = entry_of("named_after_itself");
    assert_eq!(own.id, Some("catalog::named_after_itself"));
    assert_eq!(own.lock, Some("catalog::named_after_itself".into()));
    assert_eq!(entry_of("by_a_number").lock, Some(LockId::Key(-7)));
    assert_eq!(entry_of("by_a_pair").lock, Some(LockId::Pair(1, 2)));
    let expression = entry_of("by_an_expression");
    assert_eq!(
        (expression.id, expression.lock, expression.timeout),
        (None, None, None)
    );
    assert!(entry_of("in_a_transaction").xact);
    let limit = entry_of("text_message");
    assert_eq!(limit.permits, Some(3));
    let text = limit.to_string();
    assert!(
        text.ends_with("limit \"sms\", 3 permits, timeout 1 min"),
        "{text}"
    );
    assert_eq!(entry_of("generic").id, Some("of-any-type"));
}

fn texts_of(function: &str) -> Vec<String> {
    let entries = entries_of(function).into_iter();
    let text = |entry: CatalogEntry| entry.to_string().split(": ").last().unwrap().to_owned();
    entries.map(text).collect()
}

#[test]
fn each_of_several_locks_has_an_entry() {
    assert_eq!(
        texts_of("transfer"),
        [
            "advisory \"account-{from}\", tries once, with others",
            "advisory \"ledger\", tries once, with others",
            "advisory 7, tries once, with others"
        ]
    );
    let locks: Vec<_> = entries_of("transfer")
        .into_iter()
        .map(|entry| entry.lock)
        .collect();
    assert_eq!(locks, [None, Some("ledger".into()), Some(7.into())]);
}

#[test]
fn rules_of_a_lock_and_tries_that_end_others_are_described() {
    assert_eq!(
        texts_of("digest"),
        ["advisory \"digest\", once in 55 min, fenced"]
    );
    assert_eq!(
        texts_of("migrate"),
        ["retry, prioritize from try 4, Terminate"]
    );
}

#[test]
fn a_catalog_is_iterated_by_value_too() {
    let by_value: Vec<CatalogEntry> = pglock::catalog().into_iter().collect();
    assert!(pglock::catalog().iter().eq(&by_value));
}

#[test]
fn each_attribute_of_a_function_has_its_own_entry() {
    let entries = entries_of("under_three");
    let texts: Vec<_> = entries
        .iter()
        .map(|entry| entry.to_string().split(": ").last().unwrap().to_owned())
        .collect();
    assert_eq!(
        texts,
        [
            "advisory \"outer\"",
            "prioritize, timeout 10 s, Cancel",
            "timeout, timeout 3 s"
        ]
    );
}

/// This program, which is asked for its catalog.
fn asked(path: &str) -> Output {
    let itself = std::env::current_exe().unwrap();
    let mut command = Command::new(itself);
    command.args([
        "--exact",
        "a_program_that_is_asked_writes_its_catalog",
        "--nocapture",
    ]);
    command.env("PGLOCK_CATALOG", path).output().unwrap()
}

#[test]
fn a_program_that_is_asked_writes_its_catalog() {
    pglock::answer_catalog();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("locks.json");
    let answered = asked(file.to_str().unwrap());
    assert_eq!(answered.status.code(), Some(0), "{answered:?}");
    let json: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(json["schema"], "pglock/catalog/1");
    assert!(json["program"].as_str().unwrap().starts_with("catalog"));
    let locks = json["locks"].as_array().unwrap();
    let of = |function: &str| {
        let path = format!("catalog::{function}");
        locks.iter().find(|lock| lock["function"] == path).unwrap()
    };
    assert_eq!(of("report")["key"], "-8663603374018903193");
    assert_eq!(of("report")["timeout_seconds"], 30.0);
    assert_eq!(of("report")["side_effect"], "Skip");
    assert_eq!(of("by_a_pair")["key"], "1,2");
    assert_eq!(of("text_message")["permits"], 3);
    assert_eq!(of("bill")["key"], serde_json::Value::Null);
    assert_eq!(of("in_a_transaction")["scope"], "transaction");
    assert_eq!(of("digest")["once_in_seconds"], 3300.0);
    assert_eq!(of("digest")["fenced"], true);
    assert_eq!(of("migrate")["prioritize_from"], 4);
    let of_several = |lock: &&serde_json::Value| lock["all"] == true;
    let keys = locks.iter().filter(of_several).map(|lock| &lock["key"]);
    let ledger = LockId::from("ledger").to_key().to_string();
    let expected = [serde_json::Value::Null, ledger.into(), "7".into()];
    assert!(keys.eq(&expected), "{locks:?}");

    let printed = asked("-");
    let out = String::from_utf8(printed.stdout).unwrap();
    // The test runner has said something before.
    let document = &out[out.find('{').unwrap()..];
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(document).unwrap(),
        json
    );

    let refused = asked("/nonexistent/locks.json");
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        said.contains("the catalog could not be written to /nonexistent/locks.json"),
        "{said}"
    );
}
