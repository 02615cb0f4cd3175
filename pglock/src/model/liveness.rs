//! How soon each side gives up a session when the network is silent.
//!
//! The client must notice before the server does: the server then releases the session's locks, and a holder that has not
//! noticed would overlap with the next one.

use std::time::Duration;

use tokio_postgres::Config;

use crate::error::humanize;

/// The time within which a client notices a silent network, unless the builder sets another.
const DEFAULT: Duration = Duration::from_secs(4);

const LONGEST: Duration = Duration::from_secs(60 * 60);

/// The default of tokio-postgres.
const DRIVERS_KEEPALIVES_IDLE: Duration = Duration::from_secs(2 * 60 * 60);

/// The limits of the sessions to one database. All but the lease derive from `bound`: the time within which a client
/// notices that its session is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Liveness {
    bound: Duration,
    lease: Option<Duration>,
}

impl Default for Liveness {
    fn default() -> Self {
        Self {
            bound: DEFAULT,
            lease: None,
        }
    }
}

impl Liveness {
    /// Rejects values out of range: kernels count keepalives in whole seconds, Postgres counts timeouts in an `i32` of
    /// milliseconds.
    pub(crate) fn with(
        self,
        bound: Option<Duration>,
        lease: Option<Duration>,
    ) -> Result<Self, String> {
        let (bound, lease) = (bound.unwrap_or(self.bound), lease.or(self.lease));
        if !(Duration::from_secs(1)..=LONGEST).contains(&bound) {
            return Err(format!(
                "a heartbeat of {} is too short or too long; write one from 1 s to 1 h",
                humanize::duration(bound)
            ));
        }
        match lease {
            Some(lease) if lease < 2 * bound || lease > 24 * LONGEST => Err(format!(
                "a lease of {} does not fit a heartbeat of {}: the server would release locks before \
                 their holders notice; write one from {}, twice the heartbeat, to 24 h",
                humanize::duration(lease),
                humanize::duration(bound),
                humanize::duration(2 * bound)
            )),
            lease => Ok(Self { bound, lease }),
        }
    }

    /// How long a session that holds locks may be silent before it is pinged.
    pub(crate) fn interval(self) -> Duration {
        self.bound / 4
    }

    /// How long an answer may take. Interval, answer and grace add up to the bound; see the test below.
    pub(crate) fn answer(self) -> Duration {
        self.bound * 5 / 8
    }

    /// How long the socket of a session that is given up stays open. Closing it at once would let the server release the
    /// locks before their holders have stopped.
    pub(crate) fn grace(self) -> Duration {
        self.bound / 8
    }

    pub(crate) fn lease(self) -> Option<Duration> {
        self.lease
    }

    /// Sets the keepalives of the client's kernel, which also work while a session waits in the server. Settings in the
    /// URL win.
    pub(crate) fn keep_alive(self, config: &mut Config) {
        let interval = whole_seconds(self.interval());
        if config.get_keepalives_idle() == DRIVERS_KEEPALIVES_IDLE {
            config.keepalives_idle(interval);
        }
        if config.get_keepalives_interval().is_none() {
            config.keepalives_interval(interval);
        }
        if config.get_keepalives_retries().is_none() {
            config.keepalives_retries(2);
        }
        if config.get_tcp_user_timeout().is_none() && config.get_keepalives() {
            config.tcp_user_timeout(self.answer());
        }
    }

    /// The settings of the server's end of the session: it gives up after a silence of three to four bounds.
    ///
    /// Keepalives find an idle session. Only the user timeout finds an answer that is never acknowledged, such as a grant
    /// that reached no one. A session that waits for a lock needs `client_connection_check_interval` as well.
    pub(crate) fn server_settings(self) -> [(&'static str, u128); 4] {
        [
            (
                "tcp_keepalives_idle",
                whole_seconds(self.bound * 3 / 2).as_secs().into(),
            ),
            (
                "tcp_keepalives_interval",
                whole_seconds(self.bound / 2).as_secs().into(),
            ),
            ("tcp_keepalives_count", 3),
            ("tcp_user_timeout", (self.bound * 3).as_millis()),
        ]
    }
}

fn whole_seconds(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_millis().div_ceil(1000).try_into().unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_knows_before_the_server_frees_whatever_the_heartbeat() {
        for bound in [1_000, 1_500, 2_000, 4_000, 30_000, 3_600_000].map(Duration::from_millis) {
            let lease = Some(2 * bound);
            let heartbeat = Liveness::default().with(Some(bound), lease).unwrap();
            let asked = heartbeat.interval() + heartbeat.answer();
            assert!(asked + heartbeat.grace() <= bound, "{bound:?}");
            // The server may have heard from us for the last time one interval before the network was cut.
            assert!(asked + heartbeat.interval() < 2 * bound, "{bound:?}");
            let mut config = Config::new();
            heartbeat.keep_alive(&mut config);
            // The user timeout is noticed at the next probe only.
            let by_kernel =
                heartbeat.answer() + config.get_keepalives_interval().unwrap_or_default();
            let user_timeout = heartbeat.server_settings()[3].1;
            // The server's kernel may have heard from us for the last time its own idle time ago.
            let idle = Duration::from_secs(heartbeat.server_settings()[0].1.try_into().unwrap());
            if bound >= Duration::from_secs(2) {
                assert!(
                    by_kernel.as_millis() < user_timeout - idle.as_millis(),
                    "{bound:?}"
                );
            }
            assert!(by_kernel.as_millis() < user_timeout, "{bound:?}");
        }
    }

    #[test]
    fn the_urls_own_settings_win() {
        let url = "postgres://h/d?keepalives_idle=77&keepalives_interval=78&keepalives_retries=79&tcp_user_timeout=80";
        let mut config: Config = url.parse().unwrap();
        let before = config.clone();
        Liveness::default().keep_alive(&mut config);
        assert_eq!(config, before);
        let mut silent: Config = "postgres://h/d?keepalives=0".parse().unwrap();
        Liveness::default().keep_alive(&mut silent);
        assert!(!silent.get_keepalives() && silent.get_tcp_user_timeout().is_none());
        let mut plain: Config = "postgres://h/d".parse().unwrap();
        Liveness::default().keep_alive(&mut plain);
        assert_eq!(plain.get_keepalives_idle(), Duration::from_secs(1));
    }

    #[test]
    fn what_cannot_keep_the_order_is_refused() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let with = |bound, lease| Liveness::default().with(bound, lease);
        assert!(with(Some(Duration::from_millis(900)), None).is_err());
        assert!(with(seconds(3601), None).is_err());
        assert!(with(None, seconds(7)).is_err());
        assert!(with(None, seconds(8)).is_ok());
    }
}
