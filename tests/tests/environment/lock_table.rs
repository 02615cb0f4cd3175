//! On a server with little room for locks.

use pglock::{Database, Error};
use pglock_tests::Server;

use crate::handle;

/// Takes `more` locks, each in a call inside the last one, and then runs `inside`.
fn nest(
    more: usize,
    here: &Database,
    inside: &mut dyn FnMut() -> Result<(), Error>,
) -> Result<(), Error> {
    if more == 0 {
        return inside();
    }
    pglock::advisory(format!("nested-{more}"))
        .using(here)
        .run(|| nest(more - 1, here, inside))
}

#[test]
fn half_of_the_servers_lock_table_is_left_to_others() {
    // Room for 10 * 12 locks.
    let server = Server::builder()
        .setting("max_connections", "12")
        .setting("max_prepared_transactions", "0")
        .setting("max_locks_per_transaction", "10")
        .start();
    let db = server.create_database();
    let here = handle(db.url());
    nest(60, &here, &mut || {
        assert_eq!(db.advisory_locks().len(), 60);
        Ok(())
    })
    .unwrap();
    let error = nest(61, &here, &mut || panic!("there is no room")).unwrap_err();
    assert!(error.is_environment(), "{error}");
    let text = error.to_string();
    assert!(text.contains("max_locks_per_transaction"), "{text}");
    db.wait_for_no_locks();
}
