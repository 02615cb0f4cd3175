//! Locks and sessions for the feature `serde`, in the form in which the command prints them too.

use serde::ser::{SerializeMap as _, SerializeStruct as _};
use serde::{Serialize, Serializer};

use super::{Activity, BlockedLock, Lock, LockKind, RelKind, State};
use crate::error::serialize::{Time, seconds};
use crate::model::lock_id::LockId;

/// `wait_seconds` for `wait_duration`; what is known of the relation as `relation`, of an advisory lock as `advisory`, both
/// `null` for other locks. Times are texts as RFC 3339 writes them, in UTC; keys of 64 bits are texts.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let database = pglock_tests::database();
/// # let (mut client, mut other) = (database.connect(), database.connect());
/// let locked = pglock::advisory("invoices").on(&mut client).acquire()?;
/// let locks = pglock::locks().filter("kind=ADVISORY")?.fetch(&mut other)?;
/// let json = serde_json::to_value(&locks)?;
/// assert_eq!(json[0]["advisory"]["name"], "invoices");
/// assert_eq!(json[0]["advisory"]["key"], "5690298317434199369");
/// # Ok(())
/// # }
/// ```
impl Serialize for Lock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        serialize_fields::<S>(self, &mut fields)?;
        fields.end()
    }
}

/// Like [`Lock`], with `blocking_activity`.
impl Serialize for BlockedLock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        serialize_fields::<S>(self, &mut fields)?;
        fields.serialize_entry("blocking_activity", &self.blocking_activity)?;
        fields.end()
    }
}

fn serialize_fields<S: Serializer>(
    lock: &Lock,
    fields: &mut S::SerializeMap,
) -> Result<(), S::Error> {
    fields.serialize_entry("kind", lock.kind.as_str())?;
    fields.serialize_entry("mode", lock.mode.as_str())?;
    fields.serialize_entry("granted", &lock.granted)?;
    fields.serialize_entry("wait_start", &lock.wait_start.map(Time))?;
    fields.serialize_entry("wait_seconds", &seconds(lock.wait_duration))?;
    fields.serialize_entry("held_since", &lock.held_since.map(Time))?;
    fields.serialize_entry("relation", &lock.rel_name.as_ref().map(|_| Relation(lock)))?;
    let advisory = (lock.kind == LockKind::Advisory).then_some(Advisory(lock));
    fields.serialize_entry("advisory", &advisory)?;
    fields.serialize_entry("activity", &lock.activity)
}

struct Relation<'l>(&'l Lock);

impl Serialize for Relation<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(lock) = self;
        let mut fields = serializer.serialize_struct("Relation", 4)?;
        fields.serialize_field("schema", &lock.schema)?;
        fields.serialize_field("name", &lock.rel_name)?;
        fields.serialize_field("kind", &lock.rel_kind.map(RelKind::as_str))?;
        fields.serialize_field("of_row", &lock.rel_of_row)?;
        fields.end()
    }
}

struct Advisory<'l>(&'l Lock);

impl Serialize for Advisory<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(lock) = self;
        let key = lock.advisory_key.as_ref().map(LockId::key_text);
        let mut fields = serializer.serialize_struct("Advisory", 5)?;
        fields.serialize_field("key", &key)?;
        fields.serialize_field("classid", &lock.classid)?;
        fields.serialize_field("objid", &lock.objid)?;
        fields.serialize_field("objsubid", &lock.objsubid)?;
        fields.serialize_field("name", &lock.advisory_name)?;
        fields.end()
    }
}

/// `duration_seconds` for `duration`, and all else by its name.
impl Serialize for Activity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Activity", 12)?;
        fields.serialize_field("pid", &self.pid)?;
        fields.serialize_field("application_name", &self.application_name)?;
        fields.serialize_field("user", &self.user)?;
        fields.serialize_field("client_addr", &self.client_addr)?;
        fields.serialize_field("state", &self.state.map(State::as_str))?;
        fields.serialize_field("backend_type", &self.backend_type)?;
        fields.serialize_field("backend_start", &self.backend_start.map(Time))?;
        fields.serialize_field("xact_start", &self.xact_start.map(Time))?;
        fields.serialize_field("state_change", &self.state_change.map(Time))?;
        fields.serialize_field("duration_seconds", &seconds(self.duration))?;
        fields.serialize_field("query", &self.query)?;
        fields.serialize_field("context", &self.context)?;
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use serde_json::json;

    use super::*;
    use crate::view::LockMode;
    use crate::view::fixture::lock;

    #[test]
    fn a_lock_has_what_is_known_of_it() {
        let at = |millis| Some(SystemTime::UNIX_EPOCH + Duration::from_millis(millis));
        let mut waits = lock(7, LockMode::Share, false);
        waits.wait_start = at(1_500);
        waits.advisory_key = Some(LockId::Key(i64::MIN));
        waits.activity.client_addr = Some([10, 0, 0, 1].into());
        waits.activity.state = Some(State::Active);
        let value = json!(waits);
        assert_eq!(value["mode"], "SHARE");
        assert_eq!(value["wait_start"], "1970-01-01T00:00:01.500Z");
        assert_eq!(value["wait_seconds"], 1.5);
        assert_eq!(value["advisory"]["key"], "-9223372036854775808");
        assert_eq!(value["relation"], json!(null));
        assert_eq!(value["activity"]["client_addr"], "10.0.0.1");
        assert_eq!(value["activity"]["state"], "ACTIVE");

        let mut held = lock(8, LockMode::AccessShare, true);
        held.kind = LockKind::Relation;
        (held.schema, held.rel_name) = (Some("public".to_owned()), Some("orders".to_owned()));
        held.rel_kind = Some(RelKind::Table);
        let blocked = BlockedLock {
            lock: held,
            blocking_activity: waits.activity,
        };
        let value = json!(blocked);
        assert_eq!(
            value["relation"],
            json!({ "schema": "public", "name": "orders", "kind": "TABLE", "of_row": false })
        );
        assert_eq!(value["advisory"], json!(null));
        assert_eq!(value["blocking_activity"]["pid"], 7);
    }
}
