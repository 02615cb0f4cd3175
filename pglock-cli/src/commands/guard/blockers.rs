//! Who keeps the sessions of the command waiting, and what is done about it.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime};

use pglock::{Activity, BlockedLock, Blocker, State};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::args::{GuardArgs, How};
use crate::config::Config;
use crate::connect;
use crate::failure::Failure;
use crate::show;
use crate::text;

/// Which sessions are guarded, and how.
pub(super) struct Guarded {
    /// Their application's name.
    pub(super) application: String,
    how: How,
    dry_run: bool,
    quiet: bool,
    interval: Duration,
    /// Of the blocking sessions.
    filters: Vec<String>,
    /// Of those that are left alone.
    excludes: Vec<String>,
    /// Applications that are never hit, by `pglock.toml`.
    never: Vec<String>,
    /// For how long the command has to have waited.
    after: Duration,
    grace: Duration,
}

impl Guarded {
    pub(super) fn new(args: &GuardArgs, name: String, config: &Config) -> Result<Self, Failure> {
        let application = args.app.clone().unwrap_or(name);
        let mut filters = args.filter.clone();
        filters.push(format!("activity__application_name={application}"));
        filters.push(format!(
            "wait_duration__gte={} milliseconds",
            args.after.as_millis()
        ));
        // Processes of the server give way by themselves, or must not.
        filters.push("blocking_activity__backend_type=CLIENT_BACKEND".to_owned());
        let mut excludes = args.exclude.clone();
        let never = config.texts("never_application")?.unwrap_or_default();
        let names = never.iter().chain([&application]);
        excludes.extend(names.map(|name| format!("blocking_activity__application_name={name}")));
        let guarded = Self {
            application,
            how: args.how(),
            dry_run: args.dry_run,
            quiet: args.quiet,
            interval: args.interval,
            filters,
            excludes,
            never,
            after: args.after,
            grace: args.grace,
        };
        // A mistake in a filter shows before the command runs.
        let _ = guarded.query()?;
        Ok(guarded)
    }

    /// What anybody's session keeps the command's from.
    fn every_wait(&self) -> Result<pglock::Locks<BlockedLock>, Failure> {
        let name = format!("activity__application_name={}", self.application);
        Ok(pglock::blocked_locks().filter(name)?)
    }

    /// Those of it about which something is to be done.
    fn query(&self) -> Result<pglock::Locks<BlockedLock>, Failure> {
        let mut query = pglock::blocked_locks();
        for filter in &self.filters {
            query = query.filter(filter)?;
        }
        for filter in &self.excludes {
            query = query.exclude(filter)?;
        }
        Ok(query)
    }
}

/// How many that were left alone are told of.
const MOST_SPARED: usize = 10;

/// One that blocked the command, and was left alone.
struct SparedBlocker {
    who: String,
    /// For how long a session of the command had waited for it, as far as that was seen.
    waited: Duration,
    why: String,
}

impl Guarded {
    /// Why the filters leave it out.
    fn why_spared(&self, blocker: &Activity, waited: Duration) -> String {
        let name = blocker.application_name.as_deref().unwrap_or_default();
        let kind = blocker.backend_type.as_deref();
        if blocker.pid == 0 {
            return "it is a prepared transaction, which COMMIT PREPARED or ROLLBACK PREPARED ends"
                .to_owned();
        }
        if name == self.application {
            return "it is one of the command's own sessions".to_owned();
        }
        if self.never.iter().any(|never| never == name) {
            return "its application is in `never_application` of pglock.toml".to_owned();
        }
        match kind {
            None => "this role does not see whose session it is; grant it pg_read_all_stats, and pg_signal_backend to end it".to_owned(),
            Some(kind) if kind != "CLIENT_BACKEND" => format!(
                "it is a process of the server ({})",
                text::one_line(&kind.to_lowercase().replace('_', " "))
            ),
            Some(_) if waited < self.after => {
                format!("--after is {}", text::chosen(self.after))
            }
            Some(_) => "-f or -x leaves it out".to_owned(),
        }
    }
}

/// As the library names those that it hits.
fn who(activity: &Activity) -> String {
    let shown = |text: &Option<String>| text.as_deref().map(text::one_line);
    let mut who = format!("pid {}", activity.pid);
    if let Some(name) = shown(&activity.application_name).filter(|name| !name.is_empty()) {
        let _ = write!(who, " (\"{name}\")");
    }
    if let Some(user) = shown(&activity.user) {
        let _ = write!(who, " of user \"{user}\"");
    }
    who
}

/// A session, by pid and start.
type Session = (i32, Option<SystemTime>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Cancel,
    Terminate,
}

pub(super) struct Blockers {
    guarded: Guarded,
    /// What was done last to whom, and when.
    done: HashMap<Session, (Step, Instant)>,
    /// What was said of whom, once each.
    said: Vec<String>,
    /// Who blocked while nothing was done, and why nothing was.
    spared: BTreeMap<Session, SparedBlocker>,
    /// Whether a session of the command was seen.
    is_seen: bool,
    error: Option<Failure>,
}

impl Blockers {
    pub(super) fn new(guarded: Guarded) -> Self {
        Self {
            guarded,
            done: HashMap::new(),
            said: Vec::new(),
            spared: BTreeMap::new(),
            is_seen: false,
            error: None,
        }
    }

    pub(super) fn application(&self) -> &str {
        &self.guarded.application
    }

    pub(super) fn interval(&self) -> Duration {
        self.guarded.interval
    }

    pub(super) fn failed(&mut self, failure: Failure) {
        self.error = Some(failure);
    }

    pub(super) async fn look(&mut self, client: &mut Client) -> Result<(), Failure> {
        if !self.is_seen {
            let seen = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = $1)";
            let name = (&self.guarded.application as _, Type::TEXT);
            self.is_seen = connect::row(client, seen, &[name]).await?.get(0);
        }
        let waits = self.guarded.every_wait()?.fetch_async(client).await?;
        let found = match &waits[..] {
            [] => Vec::new(),
            _ => self.guarded.query()?.fetch_async(client).await?,
        };
        let mut blockers: HashMap<Session, Activity> = HashMap::new();
        for BlockedLock {
            blocking_activity, ..
        } in found
        {
            let session = (blocking_activity.pid, blocking_activity.backend_start);
            blockers.insert(session, blocking_activity);
        }
        self.note_spared(waits, &blockers);
        // One that comes back is a new case.
        self.done
            .retain(|session, _| blockers.contains_key(session));
        for (session, activity) in blockers {
            if let Some(step) = self.next_step(session, activity.state) {
                self.done.insert(session, (step, Instant::now()));
                self.act(client, session, &activity, step).await?;
            }
        }
        Ok(())
    }

    /// Takes down who blocks and is not hit, with the longest wait of each.
    fn note_spared(&mut self, waits: Vec<BlockedLock>, hit: &HashMap<Session, Activity>) {
        for wait in waits {
            let blocker = wait.blocking_activity;
            let session = (blocker.pid, blocker.backend_start);
            if hit.contains_key(&session) {
                self.spared.remove(&session);
                continue;
            }
            if self.done.contains_key(&session) {
                continue;
            }
            let waited = wait.lock.wait_duration.unwrap_or_default();
            let before = self.spared.get(&session).map(|before| before.waited);
            let waited = waited.max(before.unwrap_or_default());
            let why = self.guarded.why_spared(&blocker, waited);
            let who = who(&blocker);
            let spared = SparedBlocker { who, waited, why };
            self.spared.insert(session, spared);
        }
    }

    /// Nothing where it was hit a moment ago, and may be about to go away.
    fn next_step(&self, session: Session, state: Option<State>) -> Option<Step> {
        let before = self.done.get(&session);
        let is_recent = before.is_some_and(|(_, at)| at.elapsed() < self.guarded.grace);
        if is_recent {
            return None;
        }
        Some(match (self.guarded.how, before) {
            (How::Terminate, _) | (How::Escalate, Some(_)) => Step::Terminate,
            // It has no statement that could be canceled, and keeps its locks.
            (How::Escalate, None) if state.is_some_and(|state| state != State::Active) => {
                Step::Terminate
            }
            (How::Cancel, _) | (How::Escalate, None) => Step::Cancel,
        })
    }

    /// The session is found again by pid and start, in the statement that hits it, and hit only if it still blocks.
    async fn act(
        &mut self,
        client: &mut Client,
        (pid, started): Session,
        activity: &Activity,
        step: Step,
    ) -> Result<(), Failure> {
        if self.guarded.dry_run {
            let name = activity.application_name.as_deref().map(text::one_line);
            let would = match step {
                Step::Cancel => "canceled",
                Step::Terminate => "terminated",
            };
            self.say(format!(
                "pid {pid} (\"{}\") would be {would}",
                name.unwrap_or_default()
            ));
            return Ok(());
        }
        let start = match started {
            Some(start) => format!("={}", humantime::format_rfc3339_micros(start)),
            None => "__isnull=true".to_owned(),
        };
        let query = self
            .guarded
            .query()?
            .filter(format!("blocking_activity__pid={pid}"))?
            .filter(format!("blocking_activity__backend_start{start}"))?
            .report();
        let hit: Vec<Blocker> = match step {
            Step::Cancel => query.cancel_blocking_activity_async(client).await?,
            Step::Terminate => query.terminate_blocking_activity_async(client).await?,
        };
        for blocker in hit {
            self.say(text::one_line(&blocker.to_string()));
        }
        Ok(())
    }

    fn say(&mut self, what: String) {
        if !self.said.contains(&what) {
            if !self.guarded.quiet {
                show::say(&format!("pglock: blocking: {what}"));
            }
            self.said.push(what);
        }
    }

    /// What the caller should know at the end.
    pub(super) fn report(&self) {
        if let Some(failure) = &self.error {
            show::say(&format!("pglock: could not look all the time: {failure}"));
        }
        if !self.is_seen {
            show::say(&format!(
                "pglock: no session called \"{}\" was seen, so nothing was guarded; if the command names its sessions itself, pass that name with --app",
                self.guarded.application
            ));
        } else if self.said.is_empty() && self.spared.is_empty() {
            show::say("pglock: nobody blocked it");
        }
        for SparedBlocker { who, waited, why } in self.spared.values().take(MOST_SPARED) {
            show::say(&format!(
                "pglock: {who} blocked it for {}, and nothing was done: {why}",
                text::duration(*waited)
            ));
        }
        if let more @ 1.. = self.spared.len().saturating_sub(MOST_SPARED) {
            show::say(&format!("pglock: and so did {more} more"));
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use pglock::Database;
    use pglock_tests::{Waiter, database};

    use super::*;
    use crate::args::{Cli, Command};

    fn blockers(arguments: &[&str]) -> Blockers {
        let cli = Cli::try_parse_from([&["pglock", "guard"], arguments].concat());
        let Command::Guard(args) = cli.expect("it is valid").command else {
            panic!("it is another command");
        };
        let guarded = Guarded::new(&args, String::new(), &Config::default());
        Blockers::new(guarded.expect("it is valid"))
    }

    /// As where its pid was given to another session after it had been found, or it does not block the command any more.
    #[test]
    fn who_is_not_the_session_that_blocked_or_does_not_block_is_not_hit() {
        let db = database();
        db.execute("CREATE TABLE orders (id int); CREATE TABLE users (id int)");
        let mut report = db.connect_as("report");
        report.batch_execute("BEGIN; LOCK orders").unwrap();
        let mut other = db.connect_as("other");
        other.batch_execute("BEGIN; LOCK users").unwrap();
        let waiter = Waiter::of(&db, db.connect_as("migration"), "TRUNCATE orders");
        // Not guarded.
        let web = Waiter::of(&db, db.connect_as("web"), "TRUNCATE users");
        let options = ["--terminate", "--app", "migration", "--after", "0s"];
        let mut blockers = blockers(&[&options[..], &["--", "true"]].concat());
        let told = connect::block_on(async {
            let database = Database::builder(db.url()).build()?;
            let mut client = connect::to_act(&database).await?;
            let mut told = Vec::new();
            for (name, earlier) in [("other", 0), ("report", 1), ("report", 0)] {
                let filter = format!("blocking_activity__application_name={name}");
                let found = pglock::blocked_locks().filter(filter)?;
                let mut found = found.fetch_async(&mut client).await?;
                let activity = found.swap_remove(0).blocking_activity;
                let earlier = Duration::from_millis(earlier);
                let start = activity.backend_start.map(|start| start - earlier);
                let session = (activity.pid, start);
                let acted = blockers.act(&mut client, session, &activity, Step::Terminate);
                acted.await?;
                told.push(blockers.said.len());
            }
            Ok(told)
        });
        assert_eq!(told.expect("the server answers"), [0, 0, 1]);
        waiter.finish();
        drop(other);
        web.finish();
    }
}
