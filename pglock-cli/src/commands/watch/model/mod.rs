//! What is on the screen, and what an action changes about it. Pure: what has to be done elsewhere is an [`Effect`].

mod list;

use super::rows::SessionId;
use crate::args::View;
use crate::commands::act::victims::Verb;

pub(super) use list::{List, Step};

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Quit,
    Interrupt,
    Suspend,
    Redraw,
    Move(Step),
    Show(View),
    /// So many views to the right.
    Turn(isize),
    Details,
    Ask(Verb),
    Tag,
    Untag,
    Filter,
    Sort,
    Pause,
    Look,
    Copy,
    Help,
    Answer(bool),
    Type(char),
    Erase,
    EraseAll,
    Keep,
    /// Out of what is in front.
    Leave,
}

/// What the model cannot do itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Quit,
    Interrupt,
    Suspend,
    Redraw,
    Look,
    /// To find out who they are and ask, see [`Model::ask`].
    Ask(Verb, Vec<SessionId>),
    /// The question was answered with yes.
    Hit,
    Details(SessionId),
    Copy(SessionId),
}

/// What keys are for.
#[derive(Debug)]
pub(super) enum Mode {
    Browse,
    /// The filter is being typed; what it was.
    Filter(String),
    Question(Question),
    Help,
    Details {
        lines: Vec<String>,
        top: usize,
    },
}

/// Only `y` acts on it, and only once it can be answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Question {
    /// Whom it concerns, and what it would change.
    pub(super) about: Vec<String>,
    pub(super) asks: String,
    /// It was drawn, and what was typed before is gone.
    pub(super) is_open: bool,
}

#[derive(Debug)]
pub(super) struct Model {
    pub(super) view: View,
    pub(super) list: List,
    pub(super) mode: Mode,
    pub(super) is_paused: bool,
    /// What became of the last thing that was asked for.
    pub(super) message: Vec<String>,
    orders: [usize; View::ALL.len()],
}

impl Model {
    pub(super) fn new(view: View) -> Self {
        Self {
            view,
            list: List::default(),
            mode: Mode::Browse,
            is_paused: false,
            message: Vec::new(),
            orders: [0; View::ALL.len()],
        }
    }

    /// Puts the question in front of everything else. It is to be drawn before it is [opened](Self::open).
    pub(super) fn ask(&mut self, question: Question) {
        self.message.clear();
        self.mode = Mode::Question(question);
    }

    /// Whether a question is to be drawn and opened.
    pub(super) fn is_about_to_ask(&self) -> bool {
        matches!(&self.mode, Mode::Question(question) if !question.is_open)
    }

    /// From now on, keys are answers to the question.
    pub(super) fn open(&mut self) {
        if let Mode::Question(question) = &mut self.mode {
            question.is_open = true;
        }
    }

    pub(super) fn say(&mut self, message: Vec<String>) {
        self.message = message;
    }

    pub(super) fn show_details(&mut self, lines: Vec<String>) {
        self.mode = Mode::Details { lines, top: 0 };
    }

    pub(super) fn apply(&mut self, action: Action) -> Option<Effect> {
        match action {
            Action::Quit => return Some(Effect::Quit),
            Action::Interrupt => return Some(Effect::Interrupt),
            Action::Redraw => return Some(Effect::Redraw),
            Action::Suspend => {
                // Who comes back may not remember what was asked.
                if matches!(self.mode, Mode::Question(_)) {
                    self.mode = Mode::Browse;
                }
                return Some(Effect::Suspend);
            }
            _ => {}
        }
        match &mut self.mode {
            Mode::Browse => self.browse(action),
            Mode::Filter(before) => {
                let before = before.clone();
                self.type_filter(action, before);
                None
            }
            Mode::Question(Question { is_open, .. }) => {
                let yes = *is_open && action == Action::Answer(true);
                self.mode = Mode::Browse;
                if yes {
                    return Some(Effect::Hit);
                }
                self.message = vec!["nothing was done".to_owned()];
                None
            }
            Mode::Help => {
                self.mode = Mode::Browse;
                None
            }
            Mode::Details { lines, top } => {
                match action {
                    Action::Move(step) => {
                        let last = lines.len().saturating_sub(1);
                        *top = match step {
                            Step::By(by) => top.saturating_add_signed(by).min(last),
                            Step::Pages(by) => top.saturating_add_signed(by * 10).min(last),
                            Step::First => 0,
                            Step::Last => last,
                        };
                    }
                    Action::Copy => return self.copy(),
                    _ => self.mode = Mode::Browse,
                }
                None
            }
        }
    }

    fn browse(&mut self, action: Action) -> Option<Effect> {
        self.message.clear();
        match action {
            Action::Move(step) => self.list.step(step),
            Action::Show(view) => return self.turn_to(view),
            Action::Turn(by) => {
                let views = View::ALL.len().cast_signed();
                let here = (self.view as usize).cast_signed();
                let there = (here + by).rem_euclid(views).cast_unsigned();
                return self.turn_to(View::ALL[there]);
            }
            Action::Details => {
                return self.selected_session().map(Effect::Details);
            }
            Action::Ask(verb) => {
                let chosen = self.list.chosen();
                if !chosen.is_empty() {
                    return Some(Effect::Ask(verb, chosen));
                }
                self.message = vec!["no session is selected".to_owned()];
            }
            Action::Tag => self.list.tag(),
            Action::Untag => self.list.untag(),
            Action::Filter => self.mode = Mode::Filter(self.list.filter().to_owned()),
            Action::Sort => {
                self.orders[self.view as usize] = self.list.next_order();
                self.message = vec![format!("sorted by {}", self.list.order())];
            }
            Action::Pause => {
                self.is_paused = !self.is_paused;
                if !self.is_paused {
                    return Some(Effect::Look);
                }
            }
            Action::Look => return Some(Effect::Look),
            Action::Copy => return self.copy(),
            Action::Help => self.mode = Mode::Help,
            Action::Leave => {
                self.list.untag();
                self.list.set_filter(String::new());
            }
            _ => {}
        }
        None
    }

    fn turn_to(&mut self, view: View) -> Option<Effect> {
        if view == self.view {
            return None;
        }
        self.view = view;
        self.list.clear(self.orders[view as usize]);
        Some(Effect::Look)
    }

    fn selected_session(&self) -> Option<SessionId> {
        self.list.selected()?.id.session
    }

    fn copy(&self) -> Option<Effect> {
        self.selected_session().map(Effect::Copy)
    }

    /// It is applied while it is typed.
    fn type_filter(&mut self, action: Action, before: String) {
        let mut filter = self.list.filter().to_owned();
        match action {
            Action::Type(character) => filter.push(character),
            Action::Erase if filter.pop().is_some() => {}
            Action::EraseAll => filter.clear(),
            Action::Move(step) => return self.list.step(step),
            Action::Keep => {
                self.mode = Mode::Browse;
                return;
            }
            // Erased behind its beginning, or left.
            _ => {
                filter = before;
                self.mode = Mode::Browse;
            }
        }
        self.list.set_filter(filter);
    }
}

#[cfg(test)]
mod tests;
