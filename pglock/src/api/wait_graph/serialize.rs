//! The graph for the feature `serde`, in the form in which the command prints it too.

use serde::ser::{SerializeSeq as _, SerializeStruct as _};
use serde::{Serialize, Serializer};

use super::WaitGraph;
use super::model::{Edge, PreparedTransaction, WaitSession};
use crate::error::serialize::{Time, seconds};

/// `sessions`, `edges`, `roots` and `cycles`, the latter three by the places of sessions, from 0.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let database = pglock_tests::database();
/// # let mut client = database.connect();
/// let json = serde_json::to_value(pglock::wait_graph().fetch(&mut client)?)?;
/// assert!(json["roots"].as_array().is_some_and(Vec::is_empty)); // nobody waits
/// # Ok(())
/// # }
/// ```
impl Serialize for WaitGraph {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("WaitGraph", 4)?;
        fields.serialize_field("sessions", &self.sessions)?;
        fields.serialize_field("edges", &Edges(self))?;
        fields.serialize_field("roots", &self.root_nodes())?;
        fields.serialize_field("cycles", &self.cycle_nodes())?;
        fields.end()
    }
}

impl Serialize for WaitSession {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("WaitSession", 2)?;
        fields.serialize_field("activity", &self.activity)?;
        fields.serialize_field("prepared", &self.prepared)?;
        fields.end()
    }
}

impl Serialize for PreparedTransaction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("PreparedTransaction", 4)?;
        fields.serialize_field("gid", &self.gid)?;
        fields.serialize_field("owner", &self.owner)?;
        fields.serialize_field("database", &self.database)?;
        fields.serialize_field("since", &self.since.map(Time))?;
        fields.end()
    }
}

struct Edges<'g>(&'g WaitGraph);

impl Serialize for Edges<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(graph) = self;
        let mut edges = serializer.serialize_seq(Some(graph.edges.len()))?;
        for edge in &graph.edges {
            edges.serialize_element(&EdgeOf(graph, edge))?;
        }
        edges.end()
    }
}

struct EdgeOf<'g>(&'g WaitGraph, &'g Edge);

impl Serialize for EdgeOf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(graph, edge) = self;
        let lock = &graph.waits[edge.wait];
        let mut fields = serializer.serialize_struct("WaitEdge", 6)?;
        fields.serialize_field("waiter", &edge.waiter)?;
        fields.serialize_field("blocker", &edge.blocker)?;
        fields.serialize_field("hard", &edge.hard)?;
        fields.serialize_field("mode", lock.mode.as_str())?;
        fields.serialize_field("lock", &lock.locked_object())?;
        fields.serialize_field("wait_seconds", &seconds(lock.wait_duration))?;
        fields.end()
    }
}
