//! The error of a lock within those of others.

use pglock::Database;
use pglock_tests::database;

fn finds_busy(error: &(dyn std::error::Error + 'static)) -> bool {
    pglock::Error::find(error).is_some_and(pglock::Error::is_busy)
}

#[test]
fn a_busy_lock_is_found_in_whatever_wraps_its_error() {
    use anyhow::Context as _;

    #[pglock::advisory("wrapped", using = here, timeout = 0)]
    fn boxed(here: &Database) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(())
    }

    #[pglock::advisory("wrapped", using = here, timeout = 0)]
    fn any(here: &Database) -> anyhow::Result<()> {
        Ok(())
    }

    let db = database();
    let here = Database::builder(db.url()).build().unwrap();
    let guard = pglock::advisory("wrapped").using(&here).acquire().unwrap();
    assert!(finds_busy(&*boxed(&here).unwrap_err()));
    assert!(finds_busy(&*any(&here).unwrap_err()));
    let with_context = any(&here).context("the bill").context("the month");
    assert!(finds_busy(&*with_context.unwrap_err()));
    let through_io = std::io::Error::other(boxed(&here).unwrap_err());
    assert!(finds_busy(&std::io::Error::other(through_io)));
    guard.release().unwrap();
    assert!(!finds_busy(&std::io::Error::other("no lock")));
    assert!(!finds_busy(&std::io::Error::from(
        std::io::ErrorKind::Other
    )));
}

#[test]
fn errors_of_other_crates_carry_those_of_locks() {
    #[pglock::advisory("carried", using = here, timeout = 0)]
    fn io(here: &Database) -> std::io::Result<()> {
        Ok(())
    }

    #[pglock::advisory("carried", using = here, timeout = 0)]
    async fn sqlx(here: &Database) -> sqlx::Result<()> {
        Ok(())
    }

    #[pglock::advisory("carried", using = here, timeout = 0)]
    fn diesel(here: &Database) -> diesel::QueryResult<()> {
        Ok(())
    }

    let db = database();
    let here = Database::builder(db.url()).build().unwrap();
    let guard = pglock::advisory("carried").using(&here).acquire().unwrap();
    let error = io(&here).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ResourceBusy);
    assert!(finds_busy(&error));
    assert!(error.downcast::<pglock::Error>().unwrap().is_busy());

    let error = pollster::block_on(sqlx(&here)).unwrap_err();
    let database_error = error.as_database_error().unwrap();
    let carried = database_error.try_downcast_ref::<pglock::Error>().unwrap();
    assert!(carried.is_busy() && database_error.message() == carried.to_string());
    assert!(finds_busy(&error));

    let error = diesel(&here).unwrap_err();
    assert!(
        error.to_string().starts_with("lock \"carried\" is busy"),
        "{error}"
    );
    assert!(finds_busy(&error));
    let diesel::result::Error::QueryBuilderError(carried) = error else {
        panic!("{error}")
    };
    assert!(carried.downcast_ref::<pglock::Error>().unwrap().is_busy());
    guard.release().unwrap();
}
