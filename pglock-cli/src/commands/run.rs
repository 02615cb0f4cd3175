//! `run`: a command under a lock.

use std::process::ExitCode;
use std::time::Duration;

use pglock::{Activity, Advisory, Database, Error, Guard};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use super::process::{Child, Ended, Ending};
use crate::args::{Global, OnLost, RunArgs, refuse_option};
use crate::commands::look::query::Server;
use crate::commands::look::who;
use crate::commands::signals::Signals;
use crate::config::Config;
use crate::connect;
use crate::failure::Failure;
use crate::names::{self, Meant, key_text};
use crate::show;
use crate::text;
use crate::wording;

/// Which locks those around the command have, in its environment: process, mode, key and database, a line each.
const WITHIN: &str = "PGLOCK_WITHIN";
const SHARED: &str = "shared ";
const EXCLUSIVE: &str = "exclusive ";

/// After what time of waiting it is said who has the lock.
const SAY_AFTER: Duration = Duration::from_secs(2);

/// The lock was lost.
const LOST: u8 = 74;
/// The command took too long, as `timeout(1)` says it.
const TOO_LONG: u8 = 124;

pub(crate) fn run(global: &Global, args: &RunArgs) -> Result<ExitCode, Failure> {
    args.refuse_no_name()?;
    refuse_option(&args.command)?;
    let config = Config::find(global)?;
    let code = connect::block_on(async {
        let database = connect::database(global, &config, &format!("run {}", args.name))?;
        // Before anything takes time: a signal is to be passed on, or to end the wait, from the beginning.
        let mut signals = Signals::listen()?;
        let meant = meant(args, &database).await?;
        refuse_nested(args, &meant, &database)?;
        let run = Run {
            args,
            meant,
            database,
        };
        let code = run.carry_out(&mut signals).await?;
        // What `--at-least` keeps would end with this process; so does whoever ends this process.
        tokio::select! {
            () = pglock::drain_async() => Ok(code),
            signal = signals.next_that_ends() => Ok(128 + signal),
        }
    })?;
    Ok(ExitCode::from(code))
}

/// Only the keys of some migrators depend on the database, whose name the server is certain to know.
async fn meant(args: &RunArgs, database: &Database) -> Result<Meant, Failure> {
    match names::read(&args.name, args.scheme, None) {
        Err(_) if names::is_of_database(&args.name) => {
            let client = connect::to_look(database).await?;
            let server = Server::of(&client).await?;
            names::read(&args.name, args.scheme, Some(&server.database))
        }
        read => read,
    }
}

/// Inside itself it would wait for itself: refused, if one around it that still runs has the lock.
fn refuse_nested(args: &RunArgs, meant: &Meant, database: &Database) -> Result<(), Failure> {
    let within = std::env::var(WITHIN).unwrap_or_default();
    let is_alive = |pid: &str| {
        let pid = pid.parse().ok().and_then(Pid::from_raw);
        // One of another user's may not be signaled, but is there.
        pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
    };
    let this = this_lock(args, meant, database);
    let is_it = |line: &str| {
        let Some((pid, held)) = line.split_once(' ') else {
            return false;
        };
        let is_same = held.strip_prefix(EXCLUSIVE).or(held.strip_prefix(SHARED)) == Some(&this.1);
        is_same && !(args.shared && held.starts_with(SHARED)) && is_alive(pid)
    };
    if within.lines().any(is_it) {
        return Err(Failure::new(format!(
            "lock {} is held by the `pglock run` around this one, which would wait for itself; leave one of them out",
            text::one_line(&meant.called)
        )));
    }
    Ok(())
}

/// The mode of the lock, and which it is.
fn this_lock(args: &RunArgs, meant: &Meant, database: &Database) -> (&'static str, String) {
    let mode = if args.shared { SHARED } else { EXCLUSIVE };
    // Which server and database, without a password.
    let lock = format!("{} {database:?}", key_text(&meant.id));
    (mode, text::one_line(&lock))
}

/// For those inside: the locks of those around them, and this one.
fn within(args: &RunArgs, meant: &Meant, database: &Database) -> String {
    let around = std::env::var(WITHIN).unwrap_or_default();
    let (mode, lock) = this_lock(args, meant, database);
    format!("{around}{} {mode}{lock}\n", std::process::id())
}

/// As errors of the library name a holder.
fn named(activity: &Activity) -> String {
    let shown = |text: &Option<String>| text.as_deref().map(text::one_line).unwrap_or_default();
    let (name, user) = (shown(&activity.application_name), shown(&activity.user));
    format!("pid {} (\"{name}\", user \"{user}\")", activity.pid)
}

struct Run<'r> {
    args: &'r RunArgs,
    meant: Meant,
    database: Database,
}

/// How the wait for the lock ended.
enum Waited {
    Acquired(Guard),
    Signaled(u8),
    Failed(Error),
}

/// What made an end to the command.
enum Why {
    ItEnded,
    Lost(Error),
    TooLong,
}

impl Run<'_> {
    async fn carry_out(&self, signals: &mut Signals) -> Result<u8, Failure> {
        let guard = match self.wait(signals).await {
            Waited::Acquired(guard) => guard,
            Waited::Signaled(signal) => return Ok(128 + signal),
            Waited::Failed(error) if error.is_busy() && self.args.skip => return Ok(0),
            Waited::Failed(error) if error.is_busy() => {
                return Err(Failure::from(error).with_code(self.args.busy_code));
            }
            Waited::Failed(error) => return Err(error.into()),
        };
        let pid = guard.backend_pid().map(|pid| pid.to_string());
        let environment = [
            ("PGLOCK_HELD", Some("1".to_owned())),
            ("PGLOCK_NAME", Some(self.args.name.clone())),
            ("PGLOCK_KEY", Some(key_text(&self.meant.id))),
            // Of one that was lost already there is none; the command is ended in a moment.
            ("PGLOCK_BACKEND_PID", pid),
            (WITHIN, Some(within(self.args, &self.meant, &self.database))),
        ];
        let mut child = Child::spawn(&self.args.command, environment)?;
        let (ended, why) = self.until_end(&mut child, signals, &guard).await?;
        self.let_go(guard, ended, why).await
    }

    async fn wait(&self, signals: &mut Signals) -> Waited {
        let lock = self.lock();
        let mut acquire = std::pin::pin!(lock.acquire_async());
        let say = async {
            tokio::time::sleep(SAY_AFTER).await;
            self.say_who_has_it().await;
        };
        let mut say = std::pin::pin!(say);
        let mut said = self.args.quiet;
        loop {
            tokio::select! {
                acquired = &mut acquire => return match acquired {
                    Ok(guard) => Waited::Acquired(guard),
                    Err(error) => Waited::Failed(error),
                },
                signal = signals.next_that_ends() => return Waited::Signaled(signal),
                () = &mut say, if !said => said = true,
            }
        }
    }

    fn lock(&self) -> Advisory {
        let mut lock = pglock::advisory(self.meant.id.clone()).using(&self.database);
        if self.args.shared {
            lock = lock.shared();
        }
        if let Some(time) = self.args.at_least {
            lock = lock.hold_at_least(time);
        }
        if self.args.tries_once() {
            return lock.timeout(Duration::ZERO);
        }
        match self.args.timeout {
            Some(time) => lock.timeout(time),
            None => lock,
        }
    }

    /// Says it if it can be found out: the wait goes on all the same.
    async fn say_who_has_it(&self) {
        let Ok(mut client) = connect::to_look(&self.database).await else {
            return;
        };
        let Ok(locks) = who::locks_of(&mut client, &self.meant.id).await else {
            return;
        };
        let Some(holder) = locks.into_iter().find(|lock| lock.granted) else {
            return;
        };
        let until = match self.args.timeout {
            Some(time) => format!("for up to {}", text::chosen(time)),
            None => "for it without a timeout".to_owned(),
        };
        let lasts = holder.held_since.and_then(|since| since.elapsed().ok());
        let has = match lasts {
            Some(lasts) => format!("has had it for {}", text::duration(lasts)),
            None => "has it".to_owned(),
        };
        show::say(&format!(
            "pglock: lock {} is busy: {} {has}; waiting {until}",
            text::one_line(&self.meant.called),
            named(&holder.activity)
        ));
    }

    /// Passes signals on until the command has ended, by itself or since it has to.
    async fn until_end(
        &self,
        child: &mut Child,
        signals: &mut Signals,
        guard: &Guard,
    ) -> Result<(Ended, Why), Failure> {
        let mut why = Why::ItEnded;
        let mut lost = std::pin::pin!(guard.lost_async());
        let mut is_lost = false;
        let too_long = async {
            match self.args.at_most {
                Some(time) => tokio::time::sleep(time).await,
                None => std::future::pending().await,
            }
        };
        let mut too_long = std::pin::pin!(too_long);
        // Once it was asked to end.
        let mut ending: Option<Ending> = None;
        loop {
            let kill = async {
                match &ending {
                    Some(ending) => ending.until_kill().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                ended = child.wait() => {
                    let ended = ended?;
                    if let Some(ending) = ending {
                        ending.of_others(child, signals).await;
                    }
                    return Ok((ended, why));
                }
                signal = signals.next() => match &mut ending {
                    Some(ending) => ending.hear(child, signal),
                    None => child.pass_on(signal),
                },
                error = &mut lost, if !is_lost => {
                    is_lost = true;
                    if self.args.on_lost == OnLost::End {
                        ending.get_or_insert_with(|| Ending::begin(child, self.args.grace));
                    } else {
                        let why = wording::told(&error);
                        show::say(&format!("pglock: {why}; the command goes on"));
                    }
                    why = Why::Lost(error);
                }
                () = &mut too_long, if ending.is_none() => {
                    ending = Some(Ending::begin(child, self.args.grace));
                    if matches!(why, Why::ItEnded) {
                        why = Why::TooLong;
                    }
                }
                () = kill => if let Some(ending) = &mut ending {
                    ending.kill(child);
                },
            }
        }
    }

    async fn let_go(&self, guard: Guard, ended: Ended, why: Why) -> Result<u8, Failure> {
        let code = ended.code();
        match why {
            Why::TooLong => {
                show::say(&format!(
                    "pglock: the command ran for longer than {}, and was ended",
                    text::chosen(self.args.at_most.unwrap_or_default())
                ));
                drop(guard.release_async().await);
                Ok(TOO_LONG)
            }
            Why::Lost(error) if self.args.on_lost == OnLost::End => {
                let why = wording::told(&error);
                Err(Failure::new(format!("{why}; the command was ended")).with_code(LOST))
            }
            Why::Lost(_) => Ok(if code == 0 { LOST } else { code }),
            Why::ItEnded => match guard.release_async().await {
                Ok(()) => Ok(code),
                Err(error) => {
                    show::say(&format!("pglock: {}", wording::told(&error)));
                    let is_lost = error.is_lost() && code == 0;
                    Ok(if is_lost { LOST } else { code })
                }
            },
        }
    }
}
