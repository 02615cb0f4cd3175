//! Other processes: alive or not, and signals to them.

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// Whether the process `pid` runs. One that has ended and that nobody waited for (a zombie) does
/// not: where nothing reaps orphans, as in many containers, it stays one for ever.
#[must_use]
pub fn is_alive(pid: u32) -> bool {
    test_kill_process(as_pid(pid)).is_ok() && !is_zombie(pid)
}

/// Sends `signal` to the process of the session `pid`, as Postgres names it.
pub fn signal_backend(pid: i32, signal: Signal) {
    send(pid.unsigned_abs(), signal);
}

pub(crate) fn send(pid: u32, signal: Signal) {
    if let Err(error) = kill_process(as_pid(pid), signal) {
        panic!("can't send {signal:?} to process {pid}: {error}");
    }
}

fn as_pid(pid: u32) -> Pid {
    i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .expect("a pid is a positive i32")
}

/// The processes that `pid` has started, as far as `/proc` tells: none where there is no `/proc`.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|&child| state_and_parent(child).is_some_and(|(_, parent)| parent == pid))
        .collect()
}

fn is_zombie(pid: u32) -> bool {
    // Where there is no /proc, a zombie passes for alive.
    state_and_parent(pid).is_some_and(|(state, _)| state == "Z")
}

fn state_and_parent(pid: u32) -> Option<(String, u32)> {
    // "pid (command) state parent ...": the command may hold anything, the last parenthesis ends it.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}
