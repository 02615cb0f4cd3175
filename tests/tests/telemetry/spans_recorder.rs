//! A subscriber that keeps the spans and events of pglock's, and those of the tests.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(BTreeMap<&'static str, String>);

impl Fields {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

#[derive(Clone, Debug)]
pub(crate) struct RecordedSpan {
    id: Id,
    pub(crate) name: &'static str,
    pub(crate) parent: Option<&'static str>,
    pub(crate) fields: Fields,
    pub(crate) is_closed: bool,
}

impl RecordedSpan {
    #[track_caller]
    pub(crate) fn millis(&self, field: &str) -> f64 {
        let value = self.fields.get(field).expect("it is over");
        value.parse().expect("it is a number")
    }
}

#[derive(Clone, Debug)]
pub(crate) struct RecordedEvent {
    pub(crate) name: &'static str,
    pub(crate) level: Level,
    /// The span that it is in.
    pub(crate) parent: Option<&'static str>,
    pub(crate) fields: Fields,
}

#[derive(Debug, Default)]
struct Recorded {
    spans: Vec<RecordedSpan>,
    events: Vec<RecordedEvent>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder(Arc<Mutex<Recorded>>);

impl Recorder {
    /// Runs what is to be recorded: of this thread, and what pglock's thread reports about requests made here.
    pub(crate) fn record<R>(&self, work: impl FnOnce() -> R) -> R {
        super::several_subscribers();
        let subscriber = tracing_subscriber::registry().with(self.clone());
        tracing::subscriber::with_default(subscriber, work)
    }

    pub(crate) fn spans(&self, name: &str) -> Vec<RecordedSpan> {
        let mut spans = self.0.lock().unwrap().spans.clone();
        spans.retain(|span| span.name == name);
        spans
    }

    /// The only span of that name.
    #[track_caller]
    pub(crate) fn span(&self, name: &str) -> RecordedSpan {
        let mut spans = self.spans(name);
        assert_eq!(spans.len(), 1, "{spans:?}");
        spans.remove(0)
    }

    pub(crate) fn events(&self, name: &str) -> Vec<RecordedEvent> {
        let mut events = self.0.lock().unwrap().events.clone();
        events.retain(|event| event.name == name);
        events
    }

    /// The only event of that name.
    #[track_caller]
    pub(crate) fn event(&self, name: &str) -> RecordedEvent {
        let mut events = self.events(name);
        assert_eq!(events.len(), 1, "{events:?}");
        events.remove(0)
    }

    /// The names of all spans, events and fields of pglock's.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let recorded = self.0.lock().unwrap();
        let spans = recorded.spans.iter().map(|span| (span.name, &span.fields));
        let events = recorded
            .events
            .iter()
            .map(|event| (event.name, &event.fields));
        let ours = spans
            .chain(events)
            .filter(|(name, _)| name.starts_with("pglock."));
        ours.flat_map(|(name, fields)| std::iter::once(name).chain(fields.names()))
            .filter(|name| *name != "message")
            .collect()
    }
}

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Recorder {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let parent = context.span(id).and_then(|span| span.parent());
        self.0.lock().unwrap().spans.push(RecordedSpan {
            id: id.clone(),
            name: attributes.metadata().name(),
            parent: parent.map(|parent| parent.name()),
            fields,
            is_closed: false,
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let mut recorded = self.0.lock().unwrap();
        let span = recorded.spans.iter_mut().rfind(|span| span.id == *id);
        values.record(&mut span.expect("it is new").fields);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        self.0.lock().unwrap().events.push(RecordedEvent {
            name: metadata.name(),
            level: *metadata.level(),
            parent: context.event_span(event).map(|span| span.name()),
            fields,
        });
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        let mut recorded = self.0.lock().unwrap();
        let span = recorded.spans.iter_mut().rfind(|span| span.id == id);
        span.expect("it is new").is_closed = true;
    }
}
