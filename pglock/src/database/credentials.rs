//! Who logs in: the user and the password of new sessions, which may change while a program runs.

use std::error::Error as StdError;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::background::PerProcess;
use crate::error::Failure;

#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Credentials {
    /// Without it, the user of the operating system.
    pub(super) user: Option<String>,
    pub(super) password: PasswordSource,
}

/// Where passwords are from.
#[derive(Clone, Default)]
pub(super) enum PasswordSource {
    #[default]
    None,
    Given(Vec<u8>),
    /// A file with one for each login.
    File(PathBuf),
    Asked(AskPassword),
}

impl PartialEq for PasswordSource {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::None, Self::None) => true,
            (Self::Given(one), Self::Given(other)) => one == other,
            (Self::File(one), Self::File(other)) => one == other,
            (Self::Asked(one), Self::Asked(other)) => one.is(other),
            _ => false,
        }
    }
}

impl Eq for PasswordSource {}

type Asked = Result<Vec<u8>, Box<dyn StdError + Send + Sync>>;
type AskedLater = Pin<Box<dyn Future<Output = Asked> + Send>>;

/// A function of the program that knows the password of now.
#[derive(Clone)]
pub(super) enum AskPassword {
    Blocking(Arc<dyn Fn() -> Asked + Send + Sync>),
    Async(Arc<dyn Fn() -> AskedLater + Send + Sync>),
}

/// What it leaves behind when it panics is its own, so the handles are as safe to unwind over as without it.
impl UnwindSafe for AskPassword {}
impl RefUnwindSafe for AskPassword {}

impl fmt::Debug for AskPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AskPassword")
    }
}

impl AskPassword {
    pub(super) fn blocking<P: Into<String>, E: Into<Box<dyn StdError + Send + Sync>>>(
        ask: impl Fn() -> Result<P, E> + Send + Sync + 'static,
    ) -> Self {
        Self::Blocking(Arc::new(move || converted(ask())))
    }

    pub(super) fn asynchronous<P, E, F>(ask: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        P: Into<String>,
        E: Into<Box<dyn StdError + Send + Sync>>,
        F: Future<Output = Result<P, E>> + Send + 'static,
    {
        Self::Async(Arc::new(move || {
            let asked = ask();
            Box::pin(async move { converted(asked.await) })
        }))
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Blocking(one), Self::Blocking(other)) => Arc::ptr_eq(one, other),
            (Self::Async(one), Self::Async(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// Asks on pglock's thread, or beside it: it must not wait for a function that blocks, nor end with one that panics.
    pub(super) async fn ask(&self, bound: Duration) -> Result<Vec<u8>, Failure> {
        let mut asking = JoinSet::new();
        match self.clone() {
            Self::Blocking(ask) => asking.spawn_blocking(move || ask()),
            Self::Async(ask) => asking.spawn(async move { ask().await }),
        };
        let asked = tokio::time::timeout(bound, asking.join_next()).await;
        let why: Box<dyn StdError + Send + Sync> = match asked {
            Ok(Some(Ok(Ok(password)))) => return Ok(password),
            Ok(Some(Ok(Err(error)))) => error,
            Ok(Some(Err(panicked))) => panicked.into(),
            Ok(None) => "it was not asked".into(),
            Err(_) => "it did not return in time".into(),
        };
        Err(Failure::local(NoPassword(why), true))
    }
}

fn converted<P: Into<String>, E: Into<Box<dyn StdError + Send + Sync>>>(
    asked: Result<P, E>,
) -> Asked {
    asked
        .map(|password| password.into().into_bytes())
        .map_err(Into::into)
}

/// The program does not know its password.
#[derive(Debug)]
struct NoPassword(Box<dyn StdError + Send + Sync>);

impl fmt::Display for NoPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the function for the password failed")
    }
}

impl StdError for NoPassword {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}

/// The credentials of a handle, which can be renewed.
pub(super) struct CurrentCredentials {
    /// Those that it was built with.
    given: Credentials,
    renewed: PerProcess<Credentials>,
}

impl CurrentCredentials {
    pub(super) fn new(given: Credentials) -> Self {
        Self {
            given,
            renewed: PerProcess::default(),
        }
    }

    pub(super) fn get(&self) -> Credentials {
        self.renewed
            .lock(|inherited| self.at_first(inherited))
            .clone()
    }

    pub(super) fn renew(&self, new: Credentials) {
        *self.renewed.lock(|inherited| self.at_first(inherited)) = new;
    }

    fn at_first(&self, inherited: Option<&Credentials>) -> Credentials {
        inherited.unwrap_or(&self.given).clone()
    }
}
