//! The attributes of [`pglock`](https://docs.rs/pglock). Use them through that crate: what they expand to works with
//! one version of it only.
//!
//! The files, from the bottom; each imports only from those before it: `types`, `mark` and `leftovers` (find the body in
//! what other attributes have expanded to), `item` (the only reader and emitter of functions), `function`, `arguments`
//! (has the body take them), `options` (one file each), `wrap` (the wrapper around a body), `attributes` (one each: parse,
//! validate, expand), `nest` (reads the attributes of a function and nests them).

mod arguments;
mod attributes;
mod catalog;
mod function;
mod item;
mod leftovers;
mod mark;
mod nest;
mod options;
#[cfg(test)]
mod tests;
mod types;
mod wrap;

use proc_macro::TokenStream;

/// A call waits for the lock, runs the body, and releases the lock, whatever becomes of the body. It can be put on any
/// `fn` or `async fn` that has a body, methods and trait impls included, with `#[async_trait]` or without.
///
/// # Options
///
/// | option | values | default |
/// | --- | --- | --- |
/// | first argument, or `lock_id =` | a string literal, with placeholders as in `format!`: `{argument}`, `{part:03}`, `{job.customer}`, `{self.id}`; an integer (`i64`); a pair of `i32`; any expression that is `Into<LockId>`; or several of these, as in `all("a-{from}", "a-{to}")`: all locks or none | the function's path |
/// | `timeout =` | `"2s"`, `"1m 30s"`; seconds as integer or float; `0` tries once; `None` waits without a timeout; or any expression that is `Into<Timeout>`, such as a `Duration` | waits without a timeout |
/// | `side_effect =` | `Raise`: an error when the lock is busy after the timeout. `Skip`: the body does not run. `Skip(value)`: it does not run, and `value`, the whole return value, evaluated only then, is returned | `Raise` |
/// | `hold_at_least =` | a duration as for `timeout`, above zero: the lock is kept that long, however soon the body ends | released when the body ends |
/// | `hold_at_most =` | a duration as for `timeout`, above zero, in an `async fn`: a body that takes longer is dropped, and then the lock is released | no limit |
/// | `once_in =` | a duration as for `timeout`, above zero: not again within this time of its last start, by the clock of the database; a lock that is not due is busy; for one lock, not with `client` or `xact` | whenever it is called |
/// | `fenced` | a flag: `pglock::token()` inside is a number that only rises from holder to holder; for one lock, not with `client`, `xact` or `shared` | no token |
/// | `shared` | a flag: other calls that ask for it as shared may hold it at the same time | `false` |
/// | `xact` | a flag: the lock belongs to a transaction, whose end releases it | `false` |
/// | `reentrant = false` | a call for the lock inside one that holds it is an error; not with `client` | it shares the lock |
/// | `dedicated` | a flag: a session of its own, which no other lock's fate touches; not with `client` or `xact` | shares a session with other locks |
/// | `using =` | the database: a registered name, or a `&Database` | `"default"` |
/// | `client =` | the connection to take the lock on: an argument that is a `&mut` reference, or, in a plain `fn`, a place such as `self.db` | a session of pglock's own |
/// | `on_error =` | `Panic`, or any `FnOnce(pglock::Error) -> R`, where `R` is the function's whole return type | errors are returned |
/// | `crate =` | the path of pglock, for crates that wrap it | `::pglock` |
///
/// A flag is written as `shared`, anywhere, or as `shared = true` or `shared = false`. `Raise`, `Skip` and `Panic` are
/// words of the attribute; `pglock::Skip` is the same.
///
/// # Lock IDs
///
/// Functions with the same lock ID in the same database share the lock. Placeholders in a string are as in [`format!`]:
/// arguments of the function and its const parameters by name, as in `"invoices:{tenant}"`, with a format, as in
/// `"{part:03}"` and `"{id:?}"`, and fields of arguments and of `self`, which `format!` does not have: `"{job.customer}"`,
/// `"{self.id}"`. Braces are written as `{{` and `}}`. For anything else write an expression, which may use the arguments
/// too: `lock_id = format!("invoices:{}", tenant.id())`.
///
/// Without a lock ID the lock is named after the function: `module_path!()`, `::` and its name. Then **it becomes
/// another lock when the function is renamed or moved**, and a host that runs the old code and one that runs the new do
/// not exclude each other: name locks that outlive a release. Two functions that would share a default lock ID are refused
/// at the first call of one of them, and a method with a receiver needs a lock ID at once.
///
/// # Return types
///
/// The function returns `Result<T, E>` where `E: From<pglock::Error>`, such as `Box<dyn Error + Send + Sync>`,
/// `anyhow::Error` or an error type of your own; or it has an `on_error`. That may name arguments too, and borrows them
/// while the body runs: those that the body moves or changes it cannot name, other than `Copy` types that a `move` closure
/// takes. With it the function cannot return a type parameter: where the lock is lost, the body's own `Err` is to win, and
/// cannot be told from another value there. `Panic` panics at the attribute's line.
///
/// With `side_effect = Skip` the return value must be able to say "skipped": `()`, an `Option` (`None`), a `Result` of
/// those, or a type of your own that implements `pglock::Skippable`. `Skip(value)` works with any type. A call skips
/// only when the lock is busy: a missing connection is an error. A `Skip` without a `timeout` could never skip, and is a
/// compile error; one whose timeout is `None` at run time is an error of the call.
///
/// Once the body has started, the caller gets its `Err`, its panic, or its `Ok`; or, when the lock was lost or could not
/// be released although the body said `Ok`, an error whose `is_lost()` says so.
///
/// # How long the lock is held
///
/// With `hold_at_least = "30s"` the lock stays held for that long after it was acquired: for short jobs that many hosts
/// start by clocks that differ. The call returns when the body has ended, whether it said `Ok`, failed, panicked or was
/// dropped; the lock is kept and released in the background, and is busy for all until then. When the process ends
/// before, the lock is free early, unless it calls `pglock::drain()` at its end.
///
/// With `hold_at_most = "10m"` an async body that has held the lock for that long is dropped at its next await, then the
/// lock is released, and then the call returns an error whose `is_lost()` is true and whose text says so. A plain `fn`
/// cannot be stopped, so the option is refused there.
///
/// A call that re-enters the lock of an enclosing call follows that call's limits. Neither option works with `client` or
/// `xact`.
///
/// # Connections
///
/// With `client = conn` the lock is taken on that connection and released there, and the body uses it as before. The
/// argument is a `&mut` reference, so that nobody else uses the session meanwhile. Pooled connections are passed by the
/// caller, as `&mut *conn`. A transaction needs `xact`; a connection outside a transaction must not have it.
///
/// # Cancel safety
///
/// The future of an annotated `async fn` can be dropped at any await, as a timeout around it or `select!` does. While it
/// waits for the lock, the wait is canceled in the server. Later the body is dropped, and then the lock is released, in
/// the background; with `hold_at_least` when that is over. The lock is ready for the next call; whether the body may run
/// a second time is for you to decide.
///
/// With `client` the clean-up is sent on that connection before anything else; `pglock::AsyncConnection` says when it is
/// done on each driver, and that sqlx cannot cancel a wait. With `xact`, a lock that was granted stays to the end of the
/// transaction.
///
/// # Several attributes
///
/// Several of pglock's attributes on one function nest in reading order: the topmost is outermost, and its lock is
/// taken first. That holds whatever names they go by, as after `use pglock::advisory as lock`.
///
/// With attributes of other crates it is the reverse, as the compiler expands the topmost first, and each goes around what
/// it finds: one **above** this attribute, such as `#[tracing::instrument]`, goes around the body alone, and one **below**
/// it around the whole call, the wait and the release included. `#[test]`, `#[tokio::test]` and
/// `#[tokio::main]` work on either side. Other attributes that make a plain `fn` of an `async fn`, such as
/// `#[actix_web::main]`, go below: a plain `fn` is not stopped when its lock is lost.
///
/// # In the body
///
/// The body is a closure or an async block, so that the lock can be released after it. `?` and `return` end the body, as
/// ever. `#[track_caller]` on the function has no effect inside it: `Location::caller()` is a line of the body there, and so
/// is what a panic in it names, since closures cannot have that attribute in stable Rust.
///
/// The body takes the arguments, also those that it does not name, so all are dropped under the lock, in the order of a
/// plain function. These are not: what a pattern leaves out, as in `(first, _): (A, B)`; what `on_error` names, or an
/// expression that may take it, as in `lock_id = job.id`, but not in `format!` or behind `&`; `_` itself where an attribute
/// of another crate is below, which may want to see it; an argument that has attributes, such as `#[cfg(..)]`; and what has
/// the connection, where `client` is a place such as `job.db`. They are dropped when the lock has been released.
///
/// # What is refused
///
/// A `const fn`, a function without a body, anything that is not a function, a function that returns `!`, and one that
/// returns a future or a stream, also in a `Result`, an `Option`, a `Vec`, a tuple or an array (the lock would be released
/// before it runs: await or collect it in the body of an `async fn`). In other types it is not found. A function whose
/// whole body is one `Box::pin(async move { .. })`, as `#[async_trait]` makes of each `async fn` in a trait or an impl,
/// counts as an `async fn` with that body.
#[proc_macro_attribute]
pub fn advisory(arguments: TokenStream, item: TokenStream) -> TokenStream {
    nest::expand("advisory", &arguments.into(), &item.into()).into()
}

/// Postgres' `lock_timeout` is set before the body and restored after it, whatever becomes of the body. In a transaction,
/// the end of the transaction restores it too.
///
/// # Options
///
/// | option | values | default |
/// | --- | --- | --- |
/// | first argument | `"3s"`, `"1m 30s"`; seconds as integer or float; `None` for no limit; or any expression that is `Into<Timeout>`, such as a `Duration` | required |
/// | `client =` | the connection: an argument that is a `&mut` reference, or, in a plain `fn`, a place such as `self.db` | the only `&mut` argument |
/// | `on_error =` | `Panic`, or any `FnOnce(pglock::Error) -> R`, where `R` is the function's whole return type | errors are returned |
/// | `crate =` | the path of pglock, for crates that wrap it | `::pglock` |
///
/// A zero duration is refused, since Postgres reads it as "no limit". The return type is as for `#[pglock::advisory]`,
/// and so are nesting and what is refused.
///
/// # Cancel safety
///
/// When the future of an annotated `async fn` is dropped, at any await, the body is dropped, and the statement that
/// restores the setting is sent before anything else on the connection. The setting may stay in a transaction of sqlx's,
/// to its end, and where the body had begun a transaction by hand that is aborted.
#[proc_macro_attribute]
pub fn timeout(arguments: TokenStream, item: TokenStream) -> TokenStream {
    nest::expand("timeout", &arguments.into(), &item.into()).into()
}

/// A watcher polls the function's connection from a session of its own, the first time after the interval. When the
/// connection waits for a lock of any kind, the sessions that block it are terminated, or handled as the side effect says. All
/// prioritized functions of a process share one watcher, and its connection, for each database.
///
/// # Options
///
/// | option | values | default |
/// | --- | --- | --- |
/// | `interval =` | how often to poll: `"500ms"`; seconds as integer or float; or any `Duration` | `"1s"` |
/// | `periodic` | a flag: `periodic = false` polls once | `true` |
/// | `timeout =` | how long each statement waits for locks: as for `#[pglock::timeout]`, but at least the interval, and with `Escalate` 5 s more | `lock_timeout` is left as it is |
/// | `side_effect =` | `Terminate`, `Cancel`, `Escalate`, or any expression that implements `pglock::PrioritizeSideEffect`, such as `pglock::Terminate::new().never_application("pg_dump")` | `Terminate` |
/// | `using =` | the database that the watcher connects to, which is that of the connection: a registered name, or a `&Database` | `"default"` |
/// | `client =` | the connection: an argument that is a `&mut` reference, or, in a plain `fn`, a place such as `self.db` | the only `&mut` argument |
/// | `on_error =` | `Panic`, or any `FnOnce(pglock::Error) -> R`, where `R` is the function's whole return type | errors are returned |
/// | `crate =` | the path of pglock, for crates that wrap it | `::pglock` |
///
/// `Terminate`, `Cancel` and `Escalate` are words of the attribute. A flag is written as `periodic`, or as
/// `periodic = false`. The return type is as for `#[pglock::advisory]`, and so are nesting and what is refused. Above
/// `#[pglock::advisory]` the wait for that lock is prioritized too, also where it is on a session of pglock's own.
///
/// The caller gets the body's `Err` or panic. If the body returned `Ok` and the watcher or the side effect failed, that
/// error is returned; what the body did is done.
///
/// # Cancel safety
///
/// When the future of an annotated `async fn` is dropped, at any await, the body is dropped and the watch ends. A poll
/// that is under way is not waited for: it may still signal a session that blocks the connection's next statement.
/// `lock_timeout` is restored as with `#[pglock::timeout]`, and an error of the watcher is not reported.
#[proc_macro_attribute]
pub fn prioritize(arguments: TokenStream, item: TokenStream) -> TokenStream {
    nest::expand("prioritize", &arguments.into(), &item.into()).into()
}

/// Of all processes that call the function, the one that has the lock runs the body, and the others wait for the lock. A
/// leader that loses it drops the body at its next await and, after a pause, waits for the lock again: each term has a new
/// body. When a leader's body ends, or its future is dropped, another process leads within milliseconds. A database that
/// cannot be reached, or is a standby, ends no leader: it tries again.
///
/// The function is an `async fn`, and returns what its last body returns.
///
/// # Arguments
///
/// Each term gets a clone of each argument, which therefore is `Clone`: a pool, an `Arc<T>`, a `&T`. Methods take `&self`.
///
/// # Options
///
/// | option | | default |
/// | --- | --- | --- |
/// | `lock_id`, or the first argument | as of `#[pglock::advisory]`; placeholders make a leader per shard | the function's path |
/// | `restart` | the pause between two terms, a quarter more or less; while the database is away it doubles, up to 30 s | one second |
/// | `restart_on_error` | a flag: a body that returns `Err` begins anew, after the pause | the error is returned |
/// | `using` | the database | the default database |
/// | `on_error` | as of `#[pglock::advisory]` | errors are returned |
/// | `crate` | the path of pglock | `::pglock` |
///
/// # Errors
///
/// The body's `Err`, unless it begins anew: with `restart_on_error`, or because the lock was lost by then. The errors of
/// `pglock::advisory(..).acquire_async()`, except those that pass: the database cannot be reached, or is a standby, or
/// somebody has canceled the wait in the server. `Lost` only if the body had returned `Ok` and the lock was lost by then.
///
/// # Cancel safety
///
/// Dropping the future ends the term: the body is dropped, then the lock is released in the background.
#[proc_macro_attribute]
pub fn leader(arguments: TokenStream, item: TokenStream) -> TokenStream {
    nest::expand("leader", &arguments.into(), &item.into()).into()
}

/// A call waits for one of so many permits, runs the body, and frees the permit, whatever becomes of the body. Those who wait
/// are served in the order in which they came.
///
/// # Options
///
/// First how many at once: a number from 2 to 1,000, or an expression that is a `u32`. Then the options of
/// `#[pglock::advisory]`, but for `shared`, `xact` and `client`: a permit has one holder, and is on a session of pglock's own.
/// Without a `lock_id` the limit is named after the function.
///
/// | option | values | default |
/// | --- | --- | --- |
/// | first argument | how many at once | required |
/// | second argument, or `lock_id =` | as of `#[pglock::advisory]`; placeholders make a limit for each customer, say | the function's path |
/// | `timeout`, `side_effect`, `hold_at_least`, `hold_at_most`, `dedicated`, `reentrant`, `using`, `on_error`, `crate` | as of `#[pglock::advisory]` | |
///
/// A call inside a call of the same limit shares its permit. The return type is as for `#[pglock::advisory]`, and so are
/// nesting, what is refused, and what the body and its arguments become.
///
/// # Errors
///
/// As of `#[pglock::advisory]`. `Busy` after the timeout says how many permits there are and names one holder. `Config` when
/// another session has a permit of the same limit where that has another number of them.
///
/// # Cancel safety
///
/// Dropping the future of an `async fn` frees its permit, or its place among those who wait, in the background.
#[proc_macro_attribute]
pub fn limit(arguments: TokenStream, item: TokenStream) -> TokenStream {
    nest::expand("limit", &arguments.into(), &item.into()).into()
}

/// Each try has a `lock_timeout` of its own, which grows from 0.1 s to 10 s. When a lock times out in the body, what that has
/// begun is rolled back, and after a pause, which grows from 0.05 s to 10 minutes, the body runs again. During the pause the
/// connection is idle, in no transaction, and with the `lock_timeout` that it had before. What is not about a lock that timed
/// out is returned at once. `pglock::BodyError` says what is.
///
/// # Arguments
///
/// Each try gets a clone of each argument, which therefore is `Clone`, or the reference that it is; the connection and other
/// `&mut` references are lent to it. Methods take `&self`, or `&mut self` where `client` is a place such as `self.db`.
///
/// # Options
///
/// | option | values | default |
/// | --- | --- | --- |
/// | `tries =` | how many at most, from 1 on: 20 tries take 24 seconds, 30 take 3 minutes, 41 take 40 minutes | `41` |
/// | `longest =` | the longest `lock_timeout` of a try: `"2s"`; seconds as integer or float; or any `Duration` | `"10s"` |
/// | `unbounded_last` | a flag: the last try waits without a limit | `false` |
/// | `prioritize_from =` | the try from which on the sessions in the way are treated as the side effect says | never |
/// | `side_effect =` | with `prioritize_from`, as for `#[pglock::prioritize]` | `Terminate` |
/// | `using =` | where to look who is in the way, which is the database of the connection: a registered name, or a `&Database` | `"default"` |
/// | `client =` | the connection: an argument that is a `&mut` reference, or, in a plain `fn`, a place such as `self.db` | the only `&mut` argument |
/// | `on_error =` | `Panic`, or any `FnOnce(pglock::Error) -> R`, where `R` is the function's whole return type | errors are returned |
/// | `crate =` | the path of pglock, for crates that wrap it | `::pglock` |
///
/// The function returns a `Result`, whose error pglock looks into. Several attributes nest as for `#[pglock::advisory]`:
/// one above holds its lock during the pauses too, one below takes it anew in each try. `#[pglock::timeout]` below it says how long the
/// statements of each try wait. `#[pglock::prioritize]` below it needs a `timeout` of its own: otherwise the first tries
/// would end before its first poll.
///
/// # Errors
///
/// The body's `Err`, unless a lock timed out in it. `Busy` when the last try has timed out, with who was in the way.
/// `Config` in a transaction.
///
/// # Cancel safety
///
/// When the future of an annotated `async fn` is dropped, at any await, the body is dropped, and `lock_timeout` is restored
/// as with `#[pglock::timeout]`.
#[proc_macro_attribute]
pub fn retry(arguments: TokenStream, item: TokenStream) -> TokenStream {
    nest::expand("retry", &arguments.into(), &item.into()).into()
}
