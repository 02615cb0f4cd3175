//! Watching prioritized sections: one task and one connection for each database, however many sections there are.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard, Notify};
use tokio::time::Instant;

use super::State;
use super::pool::{Lease, Pool};
use super::sections::Section;
use crate::Error;
use crate::backend::Backend;
use crate::locks::{BlockedLock, Locks, Statement};
use crate::options::Scope;
use crate::prioritize::{self, Blocked, SectionId, Strike, Watch};
use crate::wire::{BoundWire as _, Failure, Rows};

/// How long a statement of the watcher's may take.
const STATEMENT_BOUND: Duration = Duration::from_secs(5);

/// Who looks at the sections in one database.
pub(super) struct Watcher {
    pool: Rc<Pool>,
    runs: Cell<bool>,
    changed: Notify,
    connection: Mutex<Option<Lease>>,
}

struct Purpose;

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the watcher of prioritized sections")
    }
}

impl Watcher {
    pub(super) fn new(pool: &Rc<Pool>) -> Self {
        Self {
            pool: Rc::clone(pool),
            runs: Cell::new(false),
            changed: Notify::new(),
            connection: Mutex::default(),
        }
    }

    pub(super) fn is_of(&self, pool: &Rc<Pool>) -> bool {
        Rc::ptr_eq(&self.pool, pool)
    }

    pub(super) fn sections_changed(&self) {
        self.changed.notify_one();
    }

    /// The connection, and the right to speak on it.
    async fn speak(&self) -> Result<Speech<'_>, Error> {
        let mut kept = self.connection.lock().await;
        let usable = kept.take().filter(|lease| lease.session().is_usable());
        let lease = match usable {
            Some(lease) => lease,
            None => self.pool.session(Scope::Transaction, &Purpose).await?,
        };
        Ok(Speech { kept, lease })
    }

    /// Runs a statement that changes nothing: once more where the connection had ended before, unnoticed.
    async fn read(&self, statement: &Statement) -> Result<Rows, Error> {
        let mut speech = self.speak().await?;
        match speech.answer(statement).await? {
            Err(failure) if failure.session_ended => {
                speech.lease = self.pool.new_session(Scope::Transaction, &Purpose).await?;
                speech.query(statement).await
            }
            answer => speech.end(answer),
        }
    }

    /// Gives the connection back, unless it is spoken on.
    fn rest(&self) {
        if let Ok(mut connection) = self.connection.try_lock() {
            connection.take();
        }
    }
}

/// The watcher's connection while it is spoken on. It is kept for the next one when this one [ends](Speech::end).
struct Speech<'w> {
    kept: MutexGuard<'w, Option<Lease>>,
    lease: Lease,
}

impl Speech<'_> {
    async fn query(self, statement: &Statement) -> Result<Rows, Error> {
        let answer = self.answer(statement).await?;
        self.end(answer)
    }

    async fn answer(&self, (sql, values): &Statement) -> Result<Result<Rows, Failure>, Error> {
        let conversation = self.lease.session().conversation().await;
        let mut wire = conversation.wire();
        let answer = tokio::time::timeout(STATEMENT_BOUND, wire.query(sql, values)).await;
        answer.map_err(|_| {
            // Its answer would be taken for the next one's.
            self.lease.session().close_now();
            Error::watch_timeout(STATEMENT_BOUND)
        })
    }

    fn end(mut self, answer: Result<Rows, Failure>) -> Result<Rows, Error> {
        *self.kept = Some(self.lease);
        answer.map_err(Error::watch_failed)
    }
}

/// Begins to watch a section. The future tells whether it can be seen: a watcher that looks in the wrong place, or can't
/// connect, would be noticed only when somebody is in the way, and then hide behind the body's own error.
pub(super) fn begin(
    state: &Rc<State>,
    id: SectionId,
    watch: Watch,
) -> impl Future<Output = Result<(), Error>> + use<> {
    let pool = state.pool(&watch.database);
    let section = state.sections.begin(id, watch, &pool);
    let watcher = Rc::clone(section.watcher());
    watcher.sections_changed();
    if !watcher.runs.replace(true) {
        tokio::task::spawn_local(run(Rc::clone(state), watcher));
    }
    async move {
        let sections = [section];
        let found = find_waiting(sections[0].watcher(), &sections).await?;
        std::iter::zip(&sections, found)
            .try_for_each(|(section, found)| found.waiting(section).map(drop))
    }
}

/// Looks at the sections when they are due, for as long as there are any.
async fn run(state: Rc<State>, watcher: Rc<Watcher>) {
    loop {
        let sections = state.sections.of(&watcher);
        if sections.is_empty() {
            watcher.rest();
            state.sections.forget_watcher(&watcher);
            return;
        }
        let next = sections
            .iter()
            .filter_map(|section| section.next_look())
            .min();
        drop(sections);
        let due = async {
            match next {
                Some(next) => tokio::time::sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => look_at_all_due(&state, &watcher).await,
            () = watcher.changed.notified() => {}
        }
    }
}

async fn look_at_all_due(state: &Rc<State>, watcher: &Rc<Watcher>) {
    let now = Instant::now();
    let mut due = state.sections.of(watcher);
    due.retain(|section| section.next_look().is_some_and(|at| at <= now));
    match find_waiting(watcher, &due).await {
        Ok(found) => {
            for (section, found) in due.iter().zip(found) {
                act(state, section, found).await;
                section.looked(now);
            }
        }
        Err(error) => {
            for section in &due {
                section.fail(error.clone());
                section.looked(now);
            }
        }
    }
}

/// What a look finds of a section.
enum Found {
    /// The server doesn't have its session.
    Nothing,
    /// Its session is in another database.
    Elsewhere,
    /// Those of its sessions that may wait.
    Waiting(Vec<Backend>),
}

impl Found {
    fn waiting(self, section: &Section) -> Result<Vec<Backend>, Error> {
        let Watch {
            database, backend, ..
        } = section.watch();
        match self {
            Self::Nothing => Err(Error::section_not_found(backend.pid, &database.place())),
            Self::Elsewhere => Err(Error::section_elsewhere(backend.pid, &database.place())),
            Self::Waiting(waiting) => Ok(waiting),
        }
    }
}

async fn find_waiting(watcher: &Watcher, due: &[Rc<Section>]) -> Result<Vec<Found>, Error> {
    let backends: Vec<Vec<Backend>> = due.iter().map(|section| section.backends()).collect();
    let statement = prioritize::waiting(&backends.concat());
    let rows = watcher.read(&statement).await?;
    let mut seen = prioritize::seen(&rows, backends.iter().map(Vec::len).sum()).into_iter();
    let found = backends.iter().map(|backends| {
        let seen: Vec<_> = seen.by_ref().take(backends.len()).collect();
        match seen.first() {
            None | Some(None) => Found::Nothing,
            Some(Some(session)) if !session.is_here => Found::Elsewhere,
            Some(Some(_)) => Found::Waiting(
                std::iter::zip(backends, seen)
                    .filter(|(_, seen)| seen.as_ref().is_some_and(|session| session.may_wait))
                    .map(|(backend, _)| *backend)
                    .collect(),
            ),
        }
    });
    Ok(found.collect())
}

async fn act(state: &Rc<State>, section: &Rc<Section>, found: Found) {
    let waiting = match found.waiting(section) {
        Ok(waiting) if waiting.is_empty() => {
            return section.forget_all_but(&HashSet::new());
        }
        Ok(waiting) => waiting,
        Err(error) => return section.fail(error),
    };
    match section.watch().side_effect.strike() {
        Some(strike) => {
            if let Err(error) = hit_all(state, section, &waiting, &strike).await {
                section.fail(error);
            }
        }
        None => start_side_effect(section, waiting),
    }
}

/// Hits who is in the way of these sessions; answers whom it hit, by pid.
async fn hit_all(
    state: &State,
    section: &Section,
    waiting: &[Backend],
    strike: &Strike,
) -> Result<Vec<i32>, Error> {
    let (mut hit, mut in_the_way) = (Vec::new(), HashSet::new());
    for waiting in waiting {
        let speech = section.watcher().speak().await?;
        // Who waits and who is spared is asked now: to connect may have taken long. Nor is a hit sent twice, where its
        // answer is lost: nobody would know who was hit by the first.
        let Some(_hits) = section.begin_hit(*waiting).await else {
            continue;
        };
        let before = section.hit_before(strike.plan);
        let statement = prioritize::strike(*waiting, strike, &state.never_hit(), &before);
        let rows = speech.query(&statement).await?;
        for row in rows.iter() {
            if let Some(blocker) = prioritize::blocker(&row, strike) {
                hit.extend(blocker.was_hit().then_some(blocker.pid));
                in_the_way.insert(blocker.backend());
                section.note(strike.plan, &blocker);
            }
        }
    }
    section.forget_all_but(&in_the_way);
    hit.sort_unstable();
    hit.dedup();
    Ok(hit)
}

/// Starts a side effect of the user's on a thread of its own, unless it is at work.
fn start_side_effect(section: &Rc<Section>, waiting: Vec<Backend>) {
    if !section.begin_side_effect() {
        return;
    }
    let (section, id) = (Rc::clone(section), section.id());
    let side_effect = Arc::clone(&section.watch().side_effect);
    tokio::task::spawn_local(async move {
        let work = move || side_effect.worker(&mut Blocked::new(id, waiting));
        let result = match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            Err(ended) => Err(Error::side_effect_panicked(ended)),
        };
        section.end_side_effect(result);
    });
}

/// What a side effect asks for. A section that has ended waits for nobody.
pub(super) async fn fetch(
    state: Rc<State>,
    id: SectionId,
    locks: Locks<BlockedLock>,
) -> Result<Vec<BlockedLock>, Error> {
    let Some(section) = state.sections.get(id) else {
        return Ok(Vec::new());
    };
    let rows = section.watcher().read(&locks.statement()).await?;
    Ok(Locks::read(&rows))
}

/// What a side effect does. For a section that has ended nobody is hit.
pub(super) async fn strike(
    state: Rc<State>,
    id: SectionId,
    waiting: Vec<Backend>,
    strike: Strike,
) -> Result<Vec<i32>, Error> {
    match state.sections.get(id) {
        Some(section) => hit_all(&state, &section, &waiting, &strike).await,
        None => Ok(Vec::new()),
    }
}
