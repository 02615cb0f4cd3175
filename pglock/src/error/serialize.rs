//! Values of the feature `serde`: times as texts, lengths of time in seconds.

use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

use super::Holder;

/// A time in UTC, as RFC 3339 writes it, to the millisecond; nothing for one before 1970 or after 9999, which a clock that
/// is set wrong may show.
// Output: 2026-11-27T23:20:01.123Z
pub(crate) struct Time(pub(crate) SystemTime);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) if after < YEAR_10000 => {
                serializer.collect_str(&humantime::format_rfc3339_millis(self.0))
            }
            Ok(_) | Err(_) => serializer.serialize_none(),
        }
    }
}

/// Its first moment, after that of 1970.
const YEAR_10000: Duration = Duration::from_secs(253_402_300_800);

pub(crate) fn seconds(duration: Option<Duration>) -> Option<f64> {
    duration.map(|duration| duration.as_secs_f64())
}

/// With `held_seconds` and `kept_seconds` for `held_for` and `kept_for`, and all else by its name.
impl Serialize for Holder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut fields = serializer.serialize_struct("Holder", 13)?;
        fields.serialize_field("pid", &self.pid)?;
        fields.serialize_field("queued", &self.queued)?;
        fields.serialize_field("prepared", &self.prepared)?;
        fields.serialize_field("backend_type", &self.backend_type)?;
        fields.serialize_field("application_name", &self.application_name)?;
        fields.serialize_field("user", &self.user)?;
        fields.serialize_field("client_addr", &self.client_addr)?;
        fields.serialize_field("this_process", &self.this_process)?;
        fields.serialize_field("query", &self.query)?;
        fields.serialize_field("lock_name", &self.lock_name)?;
        fields.serialize_field("since", &self.since.map(Time))?;
        fields.serialize_field("held_seconds", &seconds(self.held_for))?;
        fields.serialize_field("kept_seconds", &seconds(self.kept_for))?;
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_texts_in_utc() {
        let at = |millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        let text = |time| serde_json::to_string(&Time(time)).unwrap();
        assert_eq!(text(at(1_764_285_601_123)), "\"2025-11-27T23:20:01.123Z\"");
        assert_eq!(
            text(at(253_402_300_799_999)),
            "\"9999-12-31T23:59:59.999Z\""
        );
        assert_eq!(text(at(253_402_300_800_000)), "null");
        assert_eq!(
            text(SystemTime::UNIX_EPOCH - Duration::from_secs(1)),
            "null"
        );
        assert_eq!(seconds(Some(Duration::from_millis(1500))), Some(1.5));
    }
}
