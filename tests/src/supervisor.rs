//! The process between a test and its server.
//!
//! A test may be killed at any moment, and then no code of its own cleans up. So the server is run
//! by a small shell that reads its orders from a pipe. However the test ends, the pipe closes, and
//! the shell stops the server and removes its folder.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// `$1`: the folder with Postgres's programs. `$2`: the folder to keep, and finally to remove.
const SCRIPT: &str = r#"
bin=$1 folder=$2 server=
# What is meant for the test (Ctrl-C, a closed terminal) must not end its supervisor first.
trap '' INT TERM HUP PIPE

end() { kill -s "$1" "$server"; wait "$server"; server=; }

while read -r order signal; do
    case $order in
        init)
            "$bin/initdb" -D "$folder/data" -U postgres --auth trust --encoding UTF8 --locale C \
                --wal-segsize 1 --no-sync >>"$folder/log" 2>&1
            echo $? ;;
        # What stands behind it is the folder of a server that is stopped. Not with pg_basebackup: it is a client's program,
        # which isn't everywhere where a server is.
        copy)
            { cp -R "$signal/data" "$folder/data" && touch "$folder/data/standby.signal"; } >>"$folder/log" 2>&1
            echo $? ;;
        start) "$bin/postgres" -D "$folder/data" >>"$folder/log" 2>&1 & server=$!; echo "$server" ;;
        end) end "$signal"; echo ended ;;
    esac
done
# QUIT ends the sessions without a last word, and within 5 seconds even those that hang.
[ -z "$server" ] || end QUIT
cd / && rm -rf "$folder"
"#;

#[derive(Debug)]
pub(crate) struct Supervisor {
    shell: Child,
    /// `None` once closed, by `drop`.
    pipes: Mutex<Option<(ChildStdin, BufReader<ChildStdout>)>>,
}

impl Supervisor {
    /// Takes over `folder`, as `account` (user and group) when one is given.
    pub(crate) fn start(bin: &Path, folder: &Path, account: Option<(u32, u32)>) -> Supervisor {
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(SCRIPT)
            .arg("supervisor")
            .arg(bin)
            .arg(folder);
        command
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        // Signals to the test's group aren't meant for the server.
        command.process_group(0);
        if let Some((user, group)) = account {
            command.uid(user).gid(group);
        }
        let mut shell = command.spawn().expect("can't start sh");
        let stdin = shell.stdin.take().expect("stdin is piped");
        let stdout = BufReader::new(shell.stdout.take().expect("stdout is piped"));
        Supervisor {
            shell,
            pipes: Mutex::new(Some((stdin, stdout))),
        }
    }

    /// Gives an order and waits for the answer.
    pub(crate) fn order(&self, order: &str) -> String {
        let mut pipes = self.pipes.lock().unwrap_or_else(PoisonError::into_inner);
        let (stdin, stdout) = pipes.as_mut().expect("open until dropped");
        let mut answer = String::new();
        writeln!(stdin, "{order}")
            .and_then(|()| stdout.read_line(&mut answer))
            .expect("the server's supervisor is gone");
        answer.trim().to_owned()
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        *self.pipes.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
        let _ = self.shell.wait();
    }
}
