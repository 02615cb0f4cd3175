//! Which locks: the same for all commands that list or hit.

use std::time::Duration;

use super::time::time;
use clap::Args;

#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Select {
    /// Only of these sessions
    #[arg(value_name = "PID")]
    pub(crate) pid: Vec<i32>,
    /// Only what this fits, as wait_duration__gte=5s or activity__user=etl (pglock ls --fields has
    /// all); repeatable
    #[arg(short, long, value_name = "FIELD[__LOOKUP]=VALUE")]
    pub(crate) filter: Vec<String>,
    /// Not what this fits; repeatable
    #[arg(short = 'x', long, value_name = "FIELD[__LOOKUP]=VALUE")]
    pub(crate) exclude: Vec<String>,
    /// Only on this table; repeatable
    #[arg(short, long, value_name = "TABLE")]
    pub(crate) on: Vec<String>,
    /// Only advisory locks of this name; repeatable
    #[arg(long, value_name = "NAME")]
    pub(crate) lock: Vec<String>,
    /// Only of sessions of this role
    #[arg(long, value_name = "ROLE")]
    pub(crate) user: Option<String>,
    /// Only of sessions of this application
    #[arg(long, value_name = "NAME")]
    pub(crate) app: Option<String>,
    /// Only those that are waited for
    #[arg(long, conflicts_with = "held")]
    pub(crate) waiting: bool,
    /// Only those that are held
    #[arg(long)]
    pub(crate) held: bool,
    /// Only those that were waited for so long, as 5s or 2min
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) min_wait: Option<Duration>,
}

#[derive(Args, Clone, Debug, Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a flag on the command line"
)]
pub(crate) struct LsArgs {
    #[command(flatten)]
    pub(crate) select: Select,
    /// Who blocks them, too: the same as pglock blocked
    #[arg(long, overrides_with = "no_blocking")]
    pub(crate) blocking: bool,
    #[arg(long, hide = true, overrides_with = "blocking")]
    pub(crate) no_blocking: bool,
    #[arg(long, hide = true, overrides_with = "expanded")]
    pub(crate) no_expanded: bool,
    #[arg(long, hide = true, overrides_with = "cancel")]
    pub(crate) no_cancel: bool,
    #[arg(long, hide = true, overrides_with = "terminate")]
    pub(crate) no_terminate: bool,
    /// Columns, as lock, mode, pid, query, blocking_activity__pid; repeatable, or with commas
    #[arg(short, long, value_name = "FIELD", value_delimiter = ',')]
    pub(crate) attribute: Vec<String>,
    /// How many at most; 0 for all [default: 25; with pids: all]
    #[arg(
        short,
        long,
        value_name = "N",
        env = "PGLOCK_LIMIT",
        hide_env_values = true
    )]
    pub(crate) limit: Option<usize>,
    /// With locks of catalogs, those that each transaction has on itself, and this session's
    #[arg(short = 'A', long)]
    pub(crate) all: bool,
    /// A block of lines for each, nothing cut
    #[arg(short, long, overrides_with = "no_expanded")]
    pub(crate) expanded: bool,
    /// List the fields of --filter and --attribute, and the lookups; needs no server
    #[arg(long)]
    pub(crate) fields: bool,
    /// With the options of [configs.NAME] in pglock.toml; --no-blocking and its like leave one out
    #[arg(short, long, value_name = "NAME")]
    pub(crate) config: Option<String>,
    /// Exit with 1 when there is nothing
    #[arg(long)]
    pub(crate) exit_code: bool,
    /// Cancel what is found: the same as pglock cancel
    #[arg(long, conflicts_with = "terminate", overrides_with = "no_cancel")]
    pub(crate) cancel: bool,
    /// End the sessions that are found: the same as pglock terminate
    #[arg(long, overrides_with = "no_terminate")]
    pub(crate) terminate: bool,
    /// Don't ask, with --cancel and --terminate
    #[arg(short, long)]
    pub(crate) yes: bool,
}

impl LsArgs {
    pub(crate) fn blocked(mut self) -> Self {
        self.blocking = true;
        self
    }
}

impl Select {
    /// Whether sessions are named, and nothing else is asked of them.
    pub(crate) fn picks_by_pid_only(&self) -> bool {
        let no_pid = Self {
            pid: Vec::new(),
            ..self.clone()
        };
        no_pid.is_empty()
    }

    /// Whether it picks out some; what acts on sessions must not act on all of them.
    pub(crate) fn is_empty(&self) -> bool {
        let Self {
            pid,
            filter,
            exclude,
            on,
            lock,
            user,
            app,
            waiting,
            held,
            min_wait,
        } = self;
        let lists = [filter, exclude, on, lock];
        pid.is_empty()
            && lists.iter().all(|list| list.is_empty())
            && user.is_none()
            && app.is_none()
            && !waiting
            && !held
            && min_wait.is_none()
    }
}
