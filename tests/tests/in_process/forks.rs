//! What a fork has of it.

use fork::Fork;
use pglock_tests::{BOUND, Child, child};

use super::{is_busy, lock};

#[test]
fn a_fork_has_locks_of_its_own() {
    if child::role().is_some() {
        return fork_with_a_guard();
    }
    // A process of its own, since the threads of other tests would be copied as they are.
    let mut forking = Child::of("forks::a_fork_has_locks_of_its_own", "forks").start();
    forking.wait_for_line("forked", BOUND);
    forking.finish(BOUND);
}

fn fork_with_a_guard() {
    let guard = lock("fork").acquire().unwrap();
    match fork::fork().unwrap() {
        Fork::Child => {
            let is_lost = guard.check().is_err_and(|error| error.is_lost());
            let had = lock("fork").try_acquire();
            let is_had = had.is_ok_and(|guard| guard.is_some());
            std::process::exit(i32::from(!(is_lost && is_had)));
        }
        Fork::Parent(pid) => {
            assert_eq!(
                fork::waitpid(pid).unwrap(),
                0,
                "the forked child saw something else"
            );
            guard.check().unwrap();
            assert!(is_busy("fork"));
            child::say("forked");
        }
    }
}
