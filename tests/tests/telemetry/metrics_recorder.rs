//! A recorder of metrics that keeps every number, for all tests of this process.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

#[derive(Debug, Default)]
pub(crate) struct Numbers {
    numbers: Mutex<HashMap<String, Vec<f64>>>,
    described: Mutex<HashMap<String, (Option<Unit>, String)>>,
}

/// The one recorder, installed on first use.
pub(crate) fn numbers() -> &'static Numbers {
    static NUMBERS: LazyLock<Arc<Numbers>> = LazyLock::new(|| {
        let numbers = Arc::new(Numbers::default());
        metrics::set_global_recorder(Shared(Arc::clone(&numbers))).expect("it is the only one");
        numbers
    });
    super::several_subscribers();
    &NUMBERS
}

impl Numbers {
    /// What was recorded under that name and these labels.
    pub(crate) fn of(&self, name: &str, labels: &[(&str, &str)]) -> Vec<f64> {
        let key = spelled(name, labels.iter().copied());
        let numbers = self.numbers.lock().unwrap();
        numbers.get(&key).cloned().unwrap_or_default()
    }

    /// How often a counter was increased.
    pub(crate) fn count(&self, name: &str, labels: &[(&str, &str)]) -> usize {
        self.of(name, labels).len()
    }

    pub(crate) fn described(&self) -> HashMap<String, (Option<Unit>, String)> {
        self.described.lock().unwrap().clone()
    }

    fn note(&self, key: &str, value: f64) {
        let mut numbers = self.numbers.lock().unwrap();
        numbers.entry(key.to_owned()).or_default().push(value);
    }

    fn describe(&self, name: &KeyName, unit: Option<Unit>, text: &SharedString) {
        let mut described = self.described.lock().unwrap();
        described.insert(name.as_str().to_owned(), (unit, text.to_string()));
    }
}

fn spelled<'l>(name: &str, labels: impl Iterator<Item = (&'l str, &'l str)>) -> String {
    let mut labels: Vec<String> = labels
        .map(|(label, value)| format!("{label}={value}"))
        .collect();
    labels.sort();
    format!("{name} {}", labels.join(" "))
}

#[derive(Debug)]
struct Shared(Arc<Numbers>);

struct Series {
    key: String,
    numbers: Arc<Numbers>,
}

impl Shared {
    fn series(&self, key: &Key) -> Arc<Series> {
        let labels = key.labels().map(|label| (label.key(), label.value()));
        Arc::new(Series {
            key: spelled(key.name(), labels),
            numbers: Arc::clone(&self.0),
        })
    }
}

impl CounterFn for Series {
    fn increment(&self, value: u64) {
        assert_eq!(value, 1, "{}", self.key);
        self.numbers.note(&self.key, 1.0);
    }

    fn absolute(&self, value: u64) {
        panic!("{} was set to {value}", self.key);
    }
}

impl GaugeFn for Series {
    fn increment(&self, value: f64) {
        panic!("{} was increased by {value}", self.key);
    }

    fn decrement(&self, value: f64) {
        panic!("{} was decreased by {value}", self.key);
    }

    fn set(&self, value: f64) {
        self.numbers.note(&self.key, value);
    }
}

impl HistogramFn for Series {
    fn record(&self, value: f64) {
        self.numbers.note(&self.key, value);
    }
}

impl Recorder for Shared {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.0.describe(&name, unit, &text);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.0.describe(&name, unit, &text);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.0.describe(&name, unit, &text);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.series(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.series(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.series(key))
    }
}
