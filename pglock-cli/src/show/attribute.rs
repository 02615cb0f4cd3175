//! The columns of a listing, by django-pglock's names.

use std::time::{Duration, SystemTime};

use pglock::{Activity, Lock, LockKind, LockMode, State};

use crate::failure::Failure;
use crate::names::{NamedBy, Names};
use crate::text;

/// A lock, who has it or waits for it, and who blocks it, where that was asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'f> {
    pub(crate) lock: &'f Lock,
    pub(crate) blocker: Option<&'f Activity>,
}

/// What names are read by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Naming<'n> {
    pub(crate) names: &'n Names,
    pub(crate) database: &'n str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attribute {
    /// What is locked, in words.
    Lock,
    OfLock(OfLock),
    OfActivity(OfActivity),
    OfBlocker(OfActivity),
}

macro_rules! fields {
    ($name:ident { $($variant:ident = $text:literal,)+ }) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name {
            $($variant,)+
        }

        impl $name {
            const ALL: &'static [(Self, &'static str)] = &[$((Self::$variant, $text),)+];

            fn of(text: &str) -> Option<Self> {
                Self::ALL.iter().find(|(_, name)| *name == text).map(|(field, _)| *field)
            }

            fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}

fields! {
    OfLock {
        Kind = "kind",
        Mode = "mode",
        Granted = "granted",
        WaitStart = "wait_start",
        WaitDuration = "wait_duration",
        HeldSince = "held_since",
        RelKind = "rel_kind",
        RelName = "rel_name",
        Schema = "schema",
        Classid = "classid",
        Objid = "objid",
        Objsubid = "objsubid",
    }
}

fields! {
    OfActivity {
        Pid = "pid",
        Does = "does",
        Start = "start",
        Duration = "duration",
        Query = "query",
        Context = "context",
        State = "state",
        XactStart = "xact_start",
        BackendStart = "backend_start",
        StateChange = "state_change",
        WaitEventType = "wait_event_type",
        WaitEvent = "wait_event",
        BackendXid = "backend_xid",
        BackendXmin = "backend_xmin",
        BackendType = "backend_type",
        ApplicationName = "application_name",
        User = "user",
        ClientAddr = "client_addr",
        ClientHostname = "client_hostname",
        ClientPort = "client_port",
    }
}

/// What is shown where nothing else is asked for.
pub(crate) const DEFAULT: [Attribute; 7] = [
    Attribute::Lock,
    Attribute::OfLock(OfLock::Mode),
    Attribute::OfLock(OfLock::WaitDuration),
    Attribute::OfActivity(OfActivity::Pid),
    Attribute::OfActivity(OfActivity::ApplicationName),
    Attribute::OfActivity(OfActivity::Does),
    Attribute::OfActivity(OfActivity::Query),
];

pub(crate) const DEFAULT_BLOCKED: [Attribute; 9] = [
    Attribute::Lock,
    Attribute::OfLock(OfLock::WaitDuration),
    Attribute::OfActivity(OfActivity::Pid),
    Attribute::OfActivity(OfActivity::ApplicationName),
    Attribute::OfActivity(OfActivity::Query),
    Attribute::OfBlocker(OfActivity::Pid),
    Attribute::OfBlocker(OfActivity::ApplicationName),
    Attribute::OfBlocker(OfActivity::Does),
    Attribute::OfBlocker(OfActivity::Query),
];

impl Attribute {
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let parsed = match text {
            "lock" => Some(Self::Lock),
            "type" => Some(Self::OfLock(OfLock::Kind)),
            "activity" | "activity_id" | "activity__id" => Some(Self::OfActivity(OfActivity::Pid)),
            "blocking_activity" | "blocking_activity_id" | "blocking_activity__id" => {
                Some(Self::OfBlocker(OfActivity::Pid))
            }
            _ => match text.split_once("__") {
                Some(("activity", field)) => OfActivity::of(field).map(Self::OfActivity),
                Some(("blocking_activity", field)) => OfActivity::of(field).map(Self::OfBlocker),
                // What a lock does not have itself is of its session.
                _ => OfLock::of(text)
                    .map(Self::OfLock)
                    .or_else(|| OfActivity::of(text).map(Self::OfActivity)),
            },
        };
        parsed.ok_or_else(|| {
            let lock: Vec<_> = OfLock::ALL.iter().map(|(_, name)| *name).collect();
            let activity: Vec<_> = OfActivity::ALL.iter().map(|(_, name)| *name).collect();
            Failure::new(format!(
                "there is no attribute {text:?}; write `lock`, one of {}, or one of {}, which of who blocks begin with `blocking_activity__`",
                lock.join(", "),
                activity.join(", ")
            ))
        })
    }

    /// As it is written.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Lock => "lock".to_owned(),
            Self::OfLock(field) => field.as_str().to_owned(),
            Self::OfActivity(OfActivity::Pid) => "activity".to_owned(),
            Self::OfBlocker(OfActivity::Pid) => "blocking_activity".to_owned(),
            Self::OfActivity(field) => format!("activity__{}", field.as_str()),
            Self::OfBlocker(field) => format!("blocking_activity__{}", field.as_str()),
        }
    }

    /// The head of its column in a table.
    pub(crate) fn head(self) -> String {
        let head = match self {
            Self::Lock => "lock",
            Self::OfLock(OfLock::WaitDuration) => "waits",
            Self::OfBlocker(OfActivity::Pid) => "blocked by",
            Self::OfActivity(OfActivity::ApplicationName)
            | Self::OfBlocker(OfActivity::ApplicationName) => "application",
            Self::OfActivity(OfActivity::Query) | Self::OfBlocker(OfActivity::Query) => "statement",
            Self::OfLock(field) => field.as_str(),
            Self::OfActivity(field) | Self::OfBlocker(field) => field.as_str(),
        };
        head.to_uppercase().replace('_', " ")
    }

    pub(crate) fn is_statement(self) -> bool {
        matches!(
            self,
            Self::OfActivity(OfActivity::Query) | Self::OfBlocker(OfActivity::Query)
        )
    }

    /// Whether it is a state with its time.
    pub(crate) fn is_state(self) -> bool {
        matches!(
            self,
            Self::OfActivity(OfActivity::Does) | Self::OfBlocker(OfActivity::Does)
        )
    }

    /// How readily its column shrinks.
    pub(crate) fn shrinks(self) -> u8 {
        match self {
            Self::Lock | Self::OfActivity(OfActivity::Pid) | Self::OfBlocker(OfActivity::Pid) => 0,
            Self::OfActivity(OfActivity::Query | OfActivity::Context)
            | Self::OfBlocker(OfActivity::Query | OfActivity::Context) => 4,
            Self::OfActivity(OfActivity::Does) | Self::OfBlocker(OfActivity::Does) => 3,
            Self::OfLock(_) => 2,
            Self::OfActivity(_) | Self::OfBlocker(_) => 1,
        }
    }

    /// What it is for this row; as it is, so not yet safe for a terminal. Nothing where it is not known.
    pub(crate) fn value(self, found: Found<'_>, naming: Naming<'_>) -> Option<String> {
        let lock = found.lock;
        match self {
            Self::Lock => Some(what(lock, naming)),
            Self::OfLock(field) => of_lock(field, lock),
            Self::OfActivity(field) => of_activity(field, &lock.activity),
            Self::OfBlocker(OfActivity::Does) => as_blocker(found.blocker?),
            Self::OfBlocker(field) => of_activity(field, found.blocker?),
        }
    }
}

fn of_lock(field: OfLock, lock: &Lock) -> Option<String> {
    match field {
        OfLock::Kind => Some(lock.kind.to_string()),
        OfLock::Mode => Some(lock.mode.to_string()),
        OfLock::Granted => Some(if lock.granted { "True" } else { "False" }.to_owned()),
        OfLock::WaitStart => lock.wait_start.map(time),
        OfLock::WaitDuration => lock.wait_duration.map(text::duration),
        OfLock::HeldSince => lock.held_since.map(time),
        OfLock::RelKind => lock.rel_kind.map(|kind| kind.to_string()),
        OfLock::RelName => lock.rel_name.clone(),
        OfLock::Schema => lock.schema.clone(),
        OfLock::Classid => lock.classid.map(|id| id.to_string()),
        OfLock::Objid => lock.objid.map(|id| id.to_string()),
        OfLock::Objsubid => lock.objsubid.map(|id| id.to_string()),
    }
}

fn of_activity(field: OfActivity, activity: &Activity) -> Option<String> {
    match field {
        OfActivity::Pid => Some(activity.pid.to_string()),
        OfActivity::Does => does(activity),
        OfActivity::Start => activity.start.map(time),
        OfActivity::Duration => activity.duration.map(text::duration),
        OfActivity::Query => activity.query.clone(),
        OfActivity::Context => activity.context.clone(),
        OfActivity::State => activity.state.map(|state| state.to_string()),
        OfActivity::XactStart => activity.xact_start.map(time),
        OfActivity::BackendStart => activity.backend_start.map(time),
        OfActivity::StateChange => activity.state_change.map(time),
        OfActivity::WaitEventType => activity.wait_event_type.clone(),
        OfActivity::WaitEvent => activity.wait_event.clone(),
        OfActivity::BackendXid => activity.backend_xid.clone(),
        OfActivity::BackendXmin => activity.backend_xmin.clone(),
        OfActivity::BackendType => activity.backend_type.clone(),
        OfActivity::ApplicationName => activity.application_name.clone(),
        OfActivity::User => activity.user.clone(),
        OfActivity::ClientAddr => activity.client_addr.map(|address| address.to_string()),
        OfActivity::ClientHostname => activity.client_hostname.clone(),
        OfActivity::ClientPort => activity.client_port.map(|port| port.to_string()),
    }
}

/// What one does that is in the way of others: to end one that waits as well often ends nothing.
fn as_blocker(activity: &Activity) -> Option<String> {
    if !waits(activity) {
        return does(activity);
    }
    let lasts = activity.duration.map(text::duration).unwrap_or_default();
    Some(format!("WAITS_TOO {lasts}").trim_end().to_owned())
}

/// Whether it waits for a lock itself.
pub(crate) fn waits(activity: &Activity) -> bool {
    activity.wait_event_type.as_deref() == Some("LOCK")
}

/// Its state, and since when.
pub(crate) fn does(activity: &Activity) -> Option<String> {
    let state = activity.state?;
    let lasts = if state == State::Active {
        activity.duration
    } else {
        since(activity.state_change).or(activity.duration)
    };
    Some(match lasts {
        Some(lasts) => format!("{state} {}", text::duration(lasts)),
        None => state.to_string(),
    })
}

/// Whether it keeps a transaction open, and does nothing.
pub(crate) fn idles(activity: &Activity) -> bool {
    matches!(
        activity.state,
        Some(State::IdleInTransaction | State::IdleInTransactionAborted)
    )
}

/// What a session is called: its application, or what kind of process of the server it is.
#[cfg(feature = "watch")]
pub(crate) fn name(activity: &Activity) -> String {
    let given = activity.application_name.as_deref().map(text::one_line);
    let kind = activity.backend_type.as_deref();
    match given.filter(|given| !given.is_empty()) {
        Some(given) => given,
        None => match kind.filter(|kind| *kind != "CLIENT_BACKEND") {
            Some(kind) => kind.to_lowercase().replace('_', " "),
            None => String::new(),
        },
    }
}

/// All that is known of a session, by the names of its attributes; as it is, so not yet safe for a terminal.
#[cfg(feature = "watch")]
pub(crate) fn all_of_session(activity: &Activity) -> Vec<(&'static str, String)> {
    let known = |(field, name): &(OfActivity, &'static str)| {
        Some((*name, of_activity(*field, activity)?)).filter(|(_, value)| !value.is_empty())
    };
    OfActivity::ALL.iter().filter_map(known).collect()
}

/// Its pid, whose it is, and what it does.
pub(crate) fn session(activity: &Activity) -> String {
    let shown = |text: &Option<String>| text.as_deref().map(text::one_line).unwrap_or_default();
    let user = shown(&activity.user);
    let whose = match activity.client_addr {
        Some(address) if !user.is_empty() => format!("{user}@{address}"),
        _ => user,
    };
    let name = shown(&activity.application_name);
    let mut words = vec![activity.pid.to_string(), name, whose];
    words.extend(does(activity));
    words.retain(|word| !word.is_empty());
    words.join("  ")
}

/// By this machine's clock, which may differ from the server's: for what is only shown.
pub(crate) fn since(then: Option<SystemTime>) -> Option<Duration> {
    SystemTime::now().duration_since(then?).ok()
}

pub(crate) fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

/// What is locked, in words; an advisory lock by the names that the command knows.
pub(crate) fn what(lock: &Lock, naming: Naming<'_>) -> String {
    match lock.kind {
        LockKind::Advisory => advisory(lock, naming),
        _ => lock.locked_object(),
    }
}

fn advisory(lock: &Lock, naming: Naming<'_>) -> String {
    match (
        naming.names.of_lock(lock, naming.database),
        &lock.advisory_key,
    ) {
        (Some((name, NamedBy::BuiltIn)), _) => name,
        (Some((name, _)), _) => format!("{name:?}"),
        (None, Some(key)) => format!("advisory {key}"),
        (None, None) => "advisory".to_owned(),
    }
}

/// Why the lock is of no interest to others, if so. `own_pid` is that of the session that looks; what was asked for
/// `by_table` is not left out for its table.
pub(crate) fn why_left_out(lock: &Lock, own_pid: i32, by_table: bool) -> Option<LeftOut> {
    if lock.activity.pid == own_pid {
        return Some(LeftOut::OwnSession);
    }
    let of_catalog = lock
        .schema
        .as_deref()
        .is_some_and(|schema| ["pg_catalog", "information_schema", "pg_toast"].contains(&schema));
    let own = matches!(lock.kind, LockKind::VirtualXid | LockKind::TransactionId)
        && lock.mode == LockMode::Exclusive;
    if !lock.granted {
        None
    } else if of_catalog && !by_table {
        Some(LeftOut::Catalog)
    } else if own {
        Some(LeftOut::OwnTransaction)
    } else {
        None
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeftOut {
    Catalog,
    /// Each transaction has one on itself.
    OwnTransaction,
    /// Of the session that looks.
    OwnSession,
}
