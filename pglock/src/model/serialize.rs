//! A lock's ID for the feature `serde`.

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use super::lock_id::LockId;

/// `{"name": "invoices"}`, `{"key": "42"}`, and for a pair `{"key": "1,2"}`; for a name that other programs hash in their own
/// way `{"name": "invoices", "scheme": "hashtext", "key": "7"}`. Keys are texts, since JavaScript would round the numbers.
impl Serialize for LockId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Name(name) => map.serialize_entry("name", name)?,
            Self::Foreign(id) => {
                map.serialize_entry("name", &id.name)?;
                map.serialize_entry("scheme", id.scheme)?;
            }
            Self::Key(_) | Self::Pair(..) => {}
        }
        if !matches!(self, Self::Name(_)) {
            map.serialize_entry("key", &self.key_text())?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_say_what_they_are() {
        let json = |id: LockId| serde_json::to_string(&id).unwrap();
        assert_eq!(json("a\"b".into()), r#"{"name":"a\"b"}"#);
        assert_eq!(json(i64::MIN.into()), r#"{"key":"-9223372036854775808"}"#);
        assert_eq!(json((1, -2).into()), r#"{"key":"1,-2"}"#);
        let hashed = json(LockId::hashtext("hello"));
        assert!(
            hashed.starts_with(r#"{"name":"hello","scheme":"hashtext","key":""#),
            "{hashed}"
        );
    }
}
