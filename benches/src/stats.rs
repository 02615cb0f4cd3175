//! Samples of how long something took, and how numbers are written.

use std::time::Duration;

/// How long each of many repetitions took, in microseconds.
#[derive(Debug, Default, Clone)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn push(&mut self, time: Duration) {
        self.push_micros(time.as_secs_f64() * 1e6);
    }

    pub(crate) fn push_micros(&mut self, micros: f64) {
        self.0.push(micros);
    }

    pub(crate) fn extend(&mut self, other: Samples) {
        self.0.extend(other.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The value that the share `q` of all samples does not exceed; 0 without samples.
    pub(crate) fn quantile(&self, q: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1) as f64;
        sorted
            .get((q * last).round() as usize)
            .copied()
            .unwrap_or_default()
    }

    /// What is reached when nothing else on the machine disturbs.
    pub(crate) fn p10(&self) -> f64 {
        self.quantile(0.1)
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }
}

/// A duration in microseconds, in the unit that suits it.
pub(crate) fn time(micros: f64) -> String {
    match micros {
        ..1e3 => format!("{micros:.1} µs"),
        ..1e6 => format!("{:.2} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}

/// How many times `of` `value` is.
pub(crate) fn times(value: f64, of: f64) -> String {
    if of == 0.0 {
        return "-".to_owned();
    }
    format!("{:.2} x", value / of)
}

/// A number with its thousands separated: `12,345`.
pub(crate) fn whole(value: impl TryInto<u64>) -> String {
    let digits = value
        .try_into()
        .map(|value| value.to_string())
        .unwrap_or_default();
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes, in the unit that suits them.
pub(crate) fn bytes(bytes: f64) -> String {
    match bytes {
        ..1e3 => format!("{bytes:.0} B"),
        ..1e6 => format!("{:.1} kB", bytes / 1e3),
        _ => format!("{:.1} MB", bytes / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_samples() {
        let mut samples = Samples::default();
        for micros in (0..=100).rev() {
            samples.push(Duration::from_micros(micros));
        }
        assert!((samples.p10() - 10.0).abs() < 1e-6);
        assert!((samples.median() - 50.0).abs() < 1e-6);
        assert!((samples.quantile(1.0) - 100.0).abs() < 1e-6);
        assert!(Samples::default().median() < 1e-6);
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(whole(1_234_567_u64), "1,234,567");
        assert_eq!(whole(999_u64), "999");
        assert_eq!(time(41.26), "41.3 µs");
        assert_eq!(time(1_234.0), "1.23 ms");
        assert_eq!(bytes(2_200_000.0), "2.2 MB");
        assert_eq!(times(3.0, 2.0), "1.50 x");
        assert_eq!(times(3.0, 0.0), "-");
    }
}
