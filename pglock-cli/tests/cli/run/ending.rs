//! How `run` makes an end to its command.

use pglock_tests::{BOUND, database, wait_until};
use rustix::process::{Pid, Signal, kill_process};

use super::super::on;
use super::{Running, run, wait_until_gone};

#[test]
fn a_command_that_takes_too_long_is_ended() {
    let db = database();
    let ran = on(
        &db,
        &["run", "job", "--at-most", "300ms", "--", "sleep", "60"],
    );
    assert_eq!(ran.code, 124, "{ran:?}");
    let stubborn = "trap '' TERM; while :; do sleep 0.05; done";
    let ran = on(
        &db,
        &[
            "run",
            "job",
            "--at-most",
            "100ms",
            "--grace",
            "100ms",
            "--",
            "sh",
            "-c",
            stubborn,
        ],
    );
    assert_eq!(ran.code, 124, "{ran:?}");
    db.wait_for_no_locks();
}

#[test]
fn a_command_that_is_stopped_is_ended_as_well() {
    let db = database();
    let options = ["--at-most", "500ms", "--grace", "10min"];
    let script = "echo $$; kill -STOP $$; exec sleep 60";
    let mut running = Running::start(&mut run(&db, &options), script, 1);
    assert_eq!(running.end().code, 124);
}

#[test]
fn a_group_that_is_ended_is_killed_when_only_its_leader_has_ended() {
    let db = database();
    let script =
        "(trap '' TERM; echo $(sh -c 'echo $PPID'); while :; do sleep 0.05; done) & echo $!; wait";
    let options = ["--at-most", "500ms", "--grace", "300ms"];
    let mut running = Running::start(&mut run(&db, &options), script, 2);
    let ended = running.end();
    assert_eq!(ended.code, 124, "{ended:?}");
    running.pids.iter().copied().for_each(wait_until_gone);
}

/// As in a container whose first process waits for nobody: one of the group has ended, and stays, since its parent, which has left
/// the group, does not ask how.
#[test]
fn those_that_have_ended_are_not_waited_for() {
    let db = database();
    let leaves_one = "(sleep 0.1 & exec setsid sh -c 'echo $$; exec sleep 60') &";
    let stubborn = "trap '' TERM; while :; do sleep 0.05; done";
    for (grace, rest) in [("10min", "wait; exec sleep 60"), ("100ms", stubborn)] {
        let options = ["--at-most", "500ms", "--grace", grace];
        let script = format!("{leaves_one} {rest}");
        let mut running = Running::start(&mut run(&db, &options), &script, 1);
        let ended = running.end();
        kill_process(Pid::from_raw(running.pids[0]).unwrap(), Signal::KILL).unwrap();
        assert_eq!(ended.code, 124, "{ended:?}");
    }
    db.wait_for_no_locks();
}

/// Both while the command is waited for, and while only others of its group are.
#[test]
fn the_second_signal_kills_at_once_what_is_being_ended() {
    let db = database();
    let options = ["--at-most", "500ms", "--grace", "10min"];
    let stubborn = "trap 'echo heard' TERM; echo $$; while :; do sleep 0.05; done";
    let left_over = format!("sh -c \"{}\" & wait", stubborn.replace('$', "\\$"));
    for script in [stubborn, &left_over] {
        let mut running = Running::start(&mut run(&db, &options), script, 1);
        let heard = |times: usize| {
            wait_until("it has heard it", BOUND, || {
                running.process.out().matches("heard").count() == times
            });
        };
        heard(1);
        if script == left_over {
            running.wait_until_seen_to_have_ended();
        }
        running.signal(Signal::TERM);
        heard(2);
        running.signal(Signal::TERM);
        assert_eq!(running.end().code, 124);
        wait_until_gone(running.pids[0]);
    }
    db.wait_for_no_locks();
}
