//! Who is in the pictures: sessions that hold locks and wait for each other. Their pids, times and addresses differ each
//! time; in the picture they are the same.

use std::sync::LazyLock;

use pglock_tests::{BOUND, Server, TestDb, Waiter, pid_of, wait_until};
use postgres::{Client, NoTls};

use super::super::terminal::{self, Terminal};
use super::screen::{Row, Screen};

/// Each application, in the order in which they come, with its pid in the pictures, and for how long it has done there what
/// it does.
const CAST: [(&str, &str, &str); 5] = [
    ("report", "4045", "9.4 s"),
    ("migration", "4046", "8.1 s"),
    ("web", "4050", "6.5 s"),
    ("worker-1", "4053", "5.2 s"),
    ("worker-2", "4056", "3.7 s"),
];
/// Who has waited for longest.
const LONGEST: usize = 1;

/// As short as those above, or the columns would differ.
const LASTS: &str = "#.# s";

const VERSION: &str = "PostgreSQL 18.1";

pub(super) struct Scene {
    url: String,
    server_version: String,
    /// In the order of [`CAST`], all of the same length.
    pids: [i32; CAST.len()],
    _holders: [Client; 2],
    _waiters: [Waiter; 3],
    db: TestDb,
}

/// One of our own, whatever `DATABASE_URL` says: its settings are in a picture.
fn server() -> &'static Server {
    static SERVER: LazyLock<Server> = LazyLock::new(|| {
        let server = Server::builder()
            .tcp(true)
            .setting("idle_session_timeout", "10min")
            .setting("log_lock_waits", "off")
            .start();
        server.create_database().execute("CREATE ROLE app LOGIN");
        server
    });
    &SERVER
}

impl Scene {
    /// What is seen of it, without what differs each time.
    pub(super) fn still(columns: u16, look: impl Fn(&Self) -> Screen) -> Screen {
        // Where it took long, it has become too old.
        for _ in 0..3 {
            let scene = Self::set();
            let mut screen = look(&scene);
            if is_young(&screen) {
                screen.rows.iter_mut().for_each(|row| scene.redact(row));
                screen.set_columns(columns.into());
                return screen;
            }
        }
        panic!("each time all that there was to see was too old");
    }

    fn set() -> Self {
        let db = server().create_database();
        db.execute("ALTER SCHEMA public OWNER TO app; CREATE TABLE orders (id int); ALTER TABLE orders OWNER TO app");
        let url = server().tcp_url(db.name()).replace("postgres@", "app@");
        let config: postgres::Config = url.parse().unwrap();
        let mut sessions = CAST.map(|(name, ..)| {
            let config = config.clone().application_name(name).connect(NoTls);
            config.expect("cannot connect")
        });
        let pids = sessions.each_mut().map(pid_of);
        if pids.iter().any(|pid| pid.ilog10() != pids[0].ilog10()) {
            // They count on.
            return Self::set();
        }
        let [mut report, migration, web, mut worker, other] = sessions;
        for statement in ["BEGIN", "SELECT count(*) FROM orders"] {
            report.batch_execute(statement).unwrap();
        }
        let migration = Waiter::of(&db, migration, "ALTER TABLE orders ADD note text");
        let web = Waiter::of(&db, web, "SELECT * FROM orders");
        let nightly = pglock::advisory("nightly-report").on(&mut worker);
        // Held to the end of its session.
        std::mem::forget(nightly.acquire().unwrap());
        let nightly = "SELECT pg_advisory_lock(-8663603374018903193)";
        let other = Waiter::of(&db, other, nightly);
        let scene = Self {
            url,
            server_version: server_version(&db),
            pids,
            _holders: [report, worker],
            _waiters: [migration, web, other],
            db,
        };
        scene.wait_until_it_lasts();
        scene
    }

    /// What lasts for less than a second is shown in milliseconds.
    fn wait_until_it_lasts(&self) {
        let mut client = self.db.connect();
        let youngest = "SELECT min(clock_timestamp() - greatest(a.state_change, l.waitstart)) > '1 second' \
                        FROM pg_stat_activity a LEFT JOIN pg_locks l USING (pid) WHERE pid = ANY($1)";
        wait_until("it has lasted for a second", BOUND, || {
            let row = client.query_one(youngest, &[&self.pids.as_slice()]);
            row.unwrap().get(0)
        });
    }

    pub(super) fn terminal(&self, arguments: &[&str], lines: u16, columns: u16) -> Terminal {
        let command = terminal::with_url(&self.url, arguments);
        Terminal::sized(command, lines, columns)
    }

    /// That of a terminal on which as much has room beside the pids as in a picture of so many columns.
    pub(super) fn with_pids(&self, columns: u16) -> u16 {
        let longer = i16::try_from(self.longer()).unwrap();
        columns.checked_add_signed(longer).unwrap()
    }

    /// By how much the pids are longer than those of the pictures.
    fn longer(&self) -> isize {
        let digits = self.pids[0].to_string().len();
        digits.cast_signed() - CAST[0].1.len().cast_signed()
    }

    /// The same each time, and as wide as if the pids were those of the pictures.
    fn redact(&self, row: &mut Row) {
        let pids = self.pids.iter().map(i32::to_string).zip(CAST);
        let of_row = pids
            .clone()
            .find(|(pid, _)| row.find_word(pid, 0).is_some());
        let (.., lasts) = of_row.map_or(CAST[LONGEST], |(_, who)| who);
        row.replace(LASTS, lasts);
        let pids: Vec<_> = pids
            .map(|(pid, (_, pictured, _))| (pid, pictured))
            .collect();
        row.replace_words(&pids);
        // What has no pid in it stands beside or above what has one, or goes on to the end.
        for head in ["  PID", "   SESSION", "4 sessions"] {
            row.widen_behind(head, -self.longer());
        }
        let port = self.url.rsplit_once(':').map_or("", |(_, rest)| rest);
        let port = port.split('/').next().unwrap_or_default();
        let version = format!("PostgreSQL {}", self.server_version);
        let number = version.split(" (").next().unwrap_or_default();
        for (pattern, text) in [
            (format!("127.0.0.1:{port}").as_str(), "10.0.3.5:5432"),
            ("127.0.0.1", "10.0.3.17"),
            (self.db.name(), "app"),
            (&version, VERSION),
            (number, VERSION),
            ("##:##:## UTC", "14:03:22 UTC"),
            ("####-##-##T##:##:##.###Z", "2026-11-27T14:03:17.000Z"),
        ] {
            row.replace(pattern, text);
        }
        // How many locks there are else depends on the version, and on when it is looked.
        for counted in ["of about", "more are"] {
            row.replace_number_before(counted, "22");
        }
    }
}

/// Whether all that lasts takes as many columns as [`LASTS`].
fn is_young(screen: &Screen) -> bool {
    let is_old = |row: &Row| {
        ["##.# s", "1 min"]
            .iter()
            .any(|old| row.find(old, 0).is_some())
    };
    !screen.rows.iter().any(is_old)
}

fn server_version(db: &TestDb) -> String {
    let row = db.connect().query_one("SHOW server_version", &[]);
    row.unwrap().get(0)
}
