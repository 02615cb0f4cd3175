//! What `--help` ends with: examples, exit codes and `pglock.toml`.

pub(super) const EXAMPLES: &str = "\
Examples:
  pglock tree                       who blocks whom, and what to type to end it
  pglock blocked --on orders        who waits for a table, and who is in the way
  pglock who nightly-report         who has the lock of a job, and who waits for it
  pglock free nightly-report        ends the session that has it; it asks
In cron on every host, so that one of them runs it:
  pglock run nightly-report -n --skip -- ./report.sh
A migration under traffic, one replica after the other:
  pglock run migrations -w 10m -- pglock guard --terminate -- ./migrate.sh

Exit codes: 0 yes; 1 no: nothing, nobody, not hit; 2 trouble. run and guard have their own.";

pub(super) const ABOUT: &str = "\
pglock.toml, in this folder or the nearest one above it, or --config-file; no key is needed:
  database = \"staging\"                a name of [databases], or a url: where -d names none
  limit = 50                          of ls
  attributes = [\"lock\", \"pid\"]        columns of ls; or PGLOCK_ATTRIBUTES=lock,pid
  blocking_attributes = [\"lock\"]      columns of blocked; or PGLOCK_BLOCKING_ATTRIBUTES
  refresh = \"5s\"                      of watch
  never_application = [\"pg_dump\"]     these are never canceled or terminated

  [databases]                         what -d can name
  staging = \"postgres://ops@staging.example/app\"
  prod = { url = \"postgres://ops@db.example/app\", read_only = true }

  [names]                             what locks are called
  locks = [\"nightly-report\"]
  catalogs = [\"locks.json\"]           files of --names, from the folder of this one
  try = [\"invoices-{1..1000}\"]        names that are guessed

  [configs.long]                      pglock -c long
  filters = [\"wait_duration__gte=1 minute\"]
  blocking = true                     and exclude, on, pids, granted, limit, attributes, expanded,
                                      cancel, terminate, yes, as the options of ls; database";
