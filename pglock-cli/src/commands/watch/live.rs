//! The live view: keys, answers of the server, signals and time, one after the other.

use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

use pglock::Activity;
use rustix::process::Signal;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinHandle;

use super::acting;
use super::draw::{self, Cost, Outage, Status};
use super::keys;
use super::model::{Effect, Model};
use super::rows::SessionId;
use super::source::{Answer, Picture, Request, Source, Trouble};
use super::terminal::Terminal;
use crate::args::{Global, View};
use crate::commands::act::hit;
use crate::commands::act::victims::{Verb, Victim};
use crate::commands::signals::{self, Signals};
use crate::config::Config;
use crate::failure::Failure;
use crate::show::attribute::{all_of_session, session};
use crate::text;

/// How soon a server that is away is tried again, at the latest.
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// How often it is said for how long it has been away.
const TICK: Duration = Duration::from_secs(1);

/// Who is not hit.
pub(super) struct Limits<'g> {
    /// The applications that are never hit.
    pub(super) never: Vec<String>,
    /// What the command line says of whether anybody may be.
    pub(super) global: &'g Global,
    /// What `pglock.toml` says of it.
    pub(super) config: &'g Config,
}

impl Limits<'_> {
    fn may_act(&self, verb: Verb) -> Result<(), Failure> {
        self.config.may_act(self.global, verb.name())
    }
}

/// How it goes on, or ends.
enum Next {
    GoOn,
    End(u8),
}

/// `first` is shown at once. Ends with the exit code.
pub(super) async fn run(
    source: Source,
    first: Picture,
    view: View,
    status: Status,
    limits: Limits<'_>,
) -> Result<u8, Failure> {
    let mut signals = Signals::listen()?;
    let (requests, received) = mpsc::unbounded_channel();
    let (sent, mut answers) = mpsc::unbounded_channel();
    let mut asks = tokio::spawn(source.serve(received, sent));
    let mut watch = Watch {
        model: Model::new(view),
        status,
        limits,
        requests,
        sessions: HashMap::new(),
        waits: Vec::new(),
        costs: [Cost::default(); View::ALL.len()],
        victims: None,
        is_asking: false,
        look_again: false,
        next_look: Instant::now(),
        looked: Instant::now(),
        trouble: None,
    };
    watch.show(first);
    let mut terminal = Terminal::enter()?;
    let ended = watch
        .go_on(&mut terminal, &mut signals, &mut answers, &mut asks)
        .await;
    match ended {
        Ok(code) => Ok(code),
        // The terminal has gone away, so nobody could read why.
        Err(error) if is_gone(&error) => Ok(128 + signals::number(Signal::HUP)),
        Err(error) => {
            drop(terminal);
            Err(Failure::new(format!("cannot use the terminal: {error}")))
        }
    }
}

fn is_gone(error: &io::Error) -> bool {
    let of_terminal = error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error());
    of_terminal || error.kind() == io::ErrorKind::BrokenPipe
}

struct Watch<'g> {
    model: Model,
    status: Status,
    limits: Limits<'g>,
    requests: UnboundedSender<Request>,
    /// Of the picture that is shown.
    sessions: HashMap<SessionId, Activity>,
    waits: Vec<(SessionId, SessionId)>,
    /// By view.
    costs: [Cost; View::ALL.len()],
    /// Whom the question is about.
    victims: Option<(Verb, Vec<Victim>)>,
    is_asking: bool,
    /// What is being looked at is not what is wanted any more.
    look_again: bool,
    next_look: Instant,
    /// When it was looked last.
    looked: Instant,
    /// Since when there is no answer, and why.
    trouble: Option<(Instant, Trouble)>,
}

impl Watch<'_> {
    async fn go_on(
        &mut self,
        terminal: &mut Terminal,
        signals: &mut Signals,
        answers: &mut UnboundedReceiver<Answer>,
        asks: &mut JoinHandle<()>,
    ) -> io::Result<u8> {
        loop {
            // Its panic has given the terminal back.
            if !asks.is_finished() {
                self.draw(terminal)?;
            }
            let next = tokio::select! {
                biased;
                ended = &mut *asks => match ended {
                    Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                    _ => Next::End(0),
                },
                signal = signals.next() => on_signal(signal, terminal)?,
                () = terminal.typed() => self.keys(terminal)?,
                Some(answer) = answers.recv() => {
                    self.hear(answer);
                    Next::GoOn
                }
                () = tokio::time::sleep_until(self.next_look.into()), if self.is_due() => {
                    self.look();
                    Next::GoOn
                }
                () = tokio::time::sleep(TICK), if self.trouble.is_some() => Next::GoOn,
            };
            if let Next::End(code) = next {
                return Ok(code);
            }
        }
    }

    fn draw(&mut self, terminal: &mut Terminal) -> io::Result<()> {
        self.status.outage = self.trouble.as_ref().map(|(since, trouble)| Outage {
            what: format!(
                "no {} for {} s; trying again",
                if trouble.is_lost {
                    "connection"
                } else {
                    "answer"
                },
                since.elapsed().as_secs()
            ),
            why: text::one_line(&trouble.why),
        });
        super::panic_for_a_test::at("draw");
        terminal.draw(|frame| draw::draw(frame, &mut self.model, &self.status))
    }

    /// All that were typed by now; but those before a question was drawn do not answer it.
    fn keys(&mut self, terminal: &mut Terminal) -> io::Result<Next> {
        while let Some(key) = terminal.next_key()? {
            let Some(action) = keys::action(&self.model.mode, key) else {
                continue;
            };
            let effect = self.model.apply(action);
            if let Some(Next::End(code)) = self.carry_out(effect, terminal)? {
                return Ok(Next::End(code));
            }
            if self.model.is_about_to_ask() {
                self.draw(terminal)?;
                terminal.forget_keys()?;
                self.model.open();
            }
        }
        Ok(Next::GoOn)
    }

    fn carry_out(
        &mut self,
        effect: Option<Effect>,
        terminal: &mut Terminal,
    ) -> io::Result<Option<Next>> {
        match effect {
            None => {}
            Some(Effect::Quit) => return Ok(Some(Next::End(0))),
            Some(Effect::Interrupt) => {
                return Ok(Some(Next::End(128 + signals::number(Signal::INT))));
            }
            Some(Effect::Suspend) => terminal.suspend()?,
            Some(Effect::Redraw) => terminal.clear()?,
            Some(Effect::Look) => self.look(),
            Some(Effect::Ask(verb, chosen)) => self.ask(verb, &chosen),
            Some(Effect::Hit) => {
                if let Some((verb, victims)) = self.victims.take() {
                    let asks = format!("{}: asking the server", verb.name());
                    self.model.say(vec![asks]);
                    self.send(Request::Hit(verb, victims));
                }
            }
            Some(Effect::Details(id)) => {
                if let Some(activity) = self.sessions.get(&id) {
                    self.model.show_details(details(activity));
                }
            }
            Some(Effect::Copy(id)) => {
                let activity = self.sessions.get(&id);
                if let Some(query) = activity.and_then(|activity| activity.query.as_deref()) {
                    Terminal::copy(query)?;
                    self.model
                        .say(vec![format!("copied the statement of {}", id.pid)]);
                }
            }
        }
        Ok(None)
    }

    fn ask(&mut self, verb: Verb, chosen: &[SessionId]) {
        if let Err(why) = self.limits.may_act(verb) {
            return self.model.say(vec![why.text()]);
        }
        let found = chosen.iter().filter_map(|id| self.sessions.get(id));
        let found = found.map(|activity| Victim {
            activity: activity.clone(),
            blocks: 0,
        });
        let (spared, victims) = hit::part(found.collect(), verb, &self.limits.never);
        if victims.is_empty() {
            let told = spared
                .iter()
                .map(|(victim, why)| format!("{}: not hit, {why}", victim.who()));
            return self.model.say(told.collect());
        }
        let ids: Vec<_> = victims
            .iter()
            .map(|victim| SessionId::of(&victim.activity))
            .collect();
        let freed = (self.model.view == View::Blocked).then(|| acting::freed(&self.waits, &ids));
        self.model
            .ask(acting::question(verb, &victims, &spared, freed));
        self.victims = Some((verb, victims));
    }

    fn hear(&mut self, answer: Answer) {
        match answer {
            Answer::Hit(told) => {
                self.model.say(told);
                self.look();
            }
            Answer::Looked(view, looked) => {
                self.is_asking = false;
                self.next_look = Instant::now() + self.status.refresh;
                match looked {
                    Ok(picture) if view == self.model.view => self.show(picture),
                    Ok(_) => {}
                    Err(trouble) => {
                        let since = self.trouble.take().map(|(since, _)| since);
                        self.trouble = Some((since.unwrap_or(self.looked), trouble));
                        self.next_look = Instant::now() + self.status.refresh.min(TRY_AGAIN);
                    }
                }
                if std::mem::take(&mut self.look_again) {
                    self.look();
                }
            }
        }
    }

    fn show(&mut self, picture: Picture) {
        self.trouble = None;
        self.status.at = Some(picture.at);
        let cost = &mut self.costs[self.model.view as usize];
        *cost = Cost {
            last: picture.took,
            longest: cost.longest.max(picture.took),
            looks: cost.looks + 1,
            statements: picture.statements,
        };
        self.status.cost = *cost;
        self.sessions = picture.sessions;
        self.waits = picture.waits;
        self.model.list.show(picture.sheet);
        self.next_look = Instant::now() + self.status.refresh;
    }

    fn is_due(&self) -> bool {
        !self.is_asking && !self.model.is_paused
    }

    fn look(&mut self) {
        if self.is_asking {
            self.look_again = true;
            return;
        }
        self.is_asking = true;
        self.looked = Instant::now();
        self.send(Request::Look(self.model.view));
    }

    /// When the other side is gone, its task has ended, which is seen elsewhere.
    fn send(&self, request: Request) {
        let _ = self.requests.send(request);
    }
}

fn on_signal(signal: Signal, terminal: &mut Terminal) -> io::Result<Next> {
    if signals::ends(signal) {
        return Ok(Next::End(128 + signals::number(signal)));
    }
    if signal == signals::CONT {
        terminal.resume()?;
    }
    Ok(Next::GoOn)
}

/// All that is known of a session.
fn details(activity: &Activity) -> Vec<String> {
    let mut lines = vec![session(activity), String::new()];
    let known = all_of_session(activity);
    let (statement, known): (Vec<_>, Vec<_>) =
        known.into_iter().partition(|(name, _)| *name == "query");
    for (name, value) in known {
        lines.push(format!("{name:<17} {}", text::one_line(&value)));
    }
    for (_, value) in statement {
        lines.push(String::new());
        lines.extend(text::lines(&value));
    }
    lines
}
