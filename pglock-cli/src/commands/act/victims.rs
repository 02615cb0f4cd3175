//! Sessions that are to be hit: shown, asked about, hit, and told of.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};
use std::time::SystemTime;

use pglock::{Activity, State};
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::args::Select;
use crate::config::Config;
use crate::failure::Failure;
use crate::show::attribute::session;
use crate::show::{self, json};
use crate::text;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Cancel,
    Terminate,
}

impl Verb {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Terminate => "terminate",
        }
    }

    pub(crate) fn done(self) -> &'static str {
        match self {
            Self::Cancel => "canceled",
            Self::Terminate => "terminated",
        }
    }

    pub(crate) fn question(self, number: usize) -> String {
        match (self, number) {
            (Self::Cancel, 1) => "Cancel what this session is doing?".to_owned(),
            (Self::Cancel, _) => format!("Cancel what these {number} sessions are doing?"),
            (Self::Terminate, 1) => "End this session?".to_owned(),
            (Self::Terminate, _) => format!("End these {number} sessions?"),
        }
    }
}

/// A session that was found. What is shown is what is hit: it is found again by both, in the statement that hits it.
#[derive(Clone, Debug)]
pub(crate) struct Victim {
    pub(crate) activity: Activity,
    /// How many others wait for it.
    pub(crate) blocks: usize,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Hit,
    /// It had ended before.
    Gone,
    /// It had not what it was to be hit for any more, and was left alone.
    LetGo,
    /// It takes more rights than this role has.
    Denied,
    /// It is not hit, whatever is asked for: why.
    Spared(String),
}

impl Outcome {
    /// Whether nothing is left to be done about it.
    pub(crate) fn is_settled(&self) -> bool {
        match self {
            Self::Hit | Self::Gone | Self::LetGo => true,
            Self::Denied | Self::Spared(_) => false,
        }
    }
}

impl Victim {
    fn started(&self) -> Option<SystemTime> {
        self.activity.backend_start
    }

    pub(crate) fn pid(&self) -> i32 {
        self.activity.pid
    }

    /// Why it is never hit.
    pub(crate) fn spared(&self, verb: Verb, never: &[String]) -> Option<String> {
        let activity = &self.activity;
        if activity.pid == 0 {
            return Some("it is a prepared transaction: ROLLBACK PREPARED ends it, with its name from pg_prepared_xacts".to_owned());
        }
        if let Some(kind) = activity
            .backend_type
            .as_deref()
            .filter(|kind| *kind != "CLIENT_BACKEND")
        {
            return Some(format!(
                "it is not a client's session but a process of the server ({})",
                kind.to_lowercase().replace('_', " ")
            ));
        }
        let name = activity.application_name.as_deref().unwrap_or_default();
        if never.iter().any(|never| never == name) {
            return Some("its application is in `never_application` of pglock.toml".to_owned());
        }
        let is_idle = activity
            .state
            .is_some_and(|state| state != State::Active && state != State::FastpathFunctionCall);
        if verb == Verb::Cancel && is_idle {
            return Some(format!(
                "it is doing nothing that could be canceled, and keeps its locks: `pglock terminate {}` ends its session",
                activity.pid
            ));
        }
        None
    }

    fn shown(&self) -> String {
        let mut line = format!("  {}", session(&self.activity));
        match self.blocks {
            0 => {}
            1 => line += "   1 other waits for it",
            more => {
                let _ = write!(line, "   {more} others wait for it");
            }
        }
        if let Some(query) = self
            .activity
            .query
            .as_deref()
            .filter(|query| !query.is_empty())
        {
            let query = text::statement(query);
            let most = show::width().unwrap_or(usize::MAX).saturating_sub(8);
            let _ = write!(line, "\n        {}", text::cut(&query, most));
        }
        line
    }

    /// The session, as pid and start.
    pub(crate) fn select(&self) -> Select {
        let start = match self.started() {
            Some(start) => format!(
                "activity__backend_start={}",
                humantime::format_rfc3339_micros(start)
            ),
            None => "activity__backend_start__isnull=true".to_owned(),
        };
        Select {
            pid: vec![self.pid()],
            filter: vec![start],
            ..Select::default()
        }
    }

    /// Its pid, application and role.
    pub(crate) fn who(&self) -> String {
        let whose = |text: &Option<String>| {
            text.as_deref()
                .map(text::one_line)
                .filter(|text| !text.is_empty())
        };
        let mut who = self.pid().to_string();
        if let Some(name) = whose(&self.activity.application_name) {
            let _ = write!(who, " \"{name}\"");
        }
        if let Some(user) = whose(&self.activity.user) {
            let _ = write!(who, " of user \"{user}\"");
        }
        who
    }

    pub(crate) fn told(&self, outcome: &Outcome, verb: Verb) -> String {
        let who = self.who();
        match outcome {
            Outcome::Hit => format!("{who}: {}", verb.done()),
            Outcome::Gone => format!("{who}: gone, it had ended"),
            Outcome::LetGo => format!("{who}: not hit, it has let go of its locks"),
            Outcome::Denied => format!(
                "{who}: not hit, this role may not signal it (pg_signal_backend; for a superuser's session, a superuser)"
            ),
            Outcome::Spared(why) => format!("{who}: not hit, {why}"),
        }
    }

    pub(crate) fn json(&self, outcome: Option<&Outcome>, verb: Verb) -> Value {
        let (outcome, why) = match outcome {
            None => ("shown", None),
            Some(Outcome::Hit) => (verb.done(), None),
            Some(Outcome::Gone) => ("gone", None),
            Some(Outcome::LetGo) => ("let_go", None),
            Some(Outcome::Denied) => ("denied", None),
            Some(Outcome::Spared(why)) => ("spared", Some(why)),
        };
        json!({
            "pid": self.pid(),
            "backend_start": json::times(self.started()),
            "application_name": self.activity.application_name,
            "user": self.activity.user,
            "outcome": outcome,
            "why": why,
        })
    }
}

/// Where it happens, and whom it concerns.
pub(crate) fn show_victims(victims: &[Victim]) {
    for victim in victims {
        show::say(&victim.shown());
    }
}

/// Asks on a terminal; elsewhere nobody could answer.
pub(crate) fn ask(question: &str, yes: bool) -> Result<bool, Failure> {
    if yes {
        return Ok(true);
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::new(
            "not a terminal: pass -y to go on without a question",
        ));
    }
    anstream::eprint!("{question} [y/N] ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

/// The names of applications that are never hit.
pub(crate) fn never(config: &Config) -> Result<Vec<String>, Failure> {
    Ok(config.texts("never_application")?.unwrap_or_default())
}

/// How many sessions wait for each, also through others.
pub(crate) async fn count_waiters(
    client: &mut Client,
    victims: &mut [Victim],
) -> Result<(), Failure> {
    let pids: Vec<_> = victims.iter().map(Victim::pid).collect();
    let graph = pglock::wait_graph().pid(pids).fetch_async(client).await?;
    let waits = graph.edges();
    let waits = waits.map(|edge| (edge.waiter.activity.pid, edge.blocker.activity.pid));
    let waiters = waiters(waits);
    for victim in victims {
        victim.blocks = waiting_for(victim.pid(), &waiters);
    }
    Ok(())
}

/// Of each session those that wait for it; `waits` are who waits for whom.
fn waiters(waits: impl IntoIterator<Item = (i32, i32)>) -> HashMap<i32, Vec<i32>> {
    let mut waiters: HashMap<i32, Vec<i32>> = HashMap::new();
    for (waiter, blocker) in waits {
        waiters.entry(blocker).or_default().push(waiter);
    }
    waiters
}

fn waiting_for(pid: i32, waiters: &HashMap<i32, Vec<i32>>) -> usize {
    let mut found = HashSet::from([pid]);
    let mut next = vec![pid];
    while let Some(blocker) = next.pop() {
        for waiter in waiters.get(&blocker).into_iter().flatten() {
            if found.insert(*waiter) {
                next.push(*waiter);
            }
        }
    }
    found.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_a_waiter_waits_too() {
        let waiting = waiters([(2, 1), (3, 2), (4, 2), (4, 3), (6, 5)]);
        for (pid, number) in [(1, 3), (2, 2), (3, 1), (4, 0), (5, 1), (7, 0)] {
            assert_eq!(waiting_for(pid, &waiting), number, "{pid}");
        }
        // A deadlock.
        assert_eq!(waiting_for(1, &waiters([(1, 2), (2, 1)])), 1);
    }
}
