//! What is read, and what is sent.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// What a record takes on the wire beside its parts, and a header beside its own.
const ENVELOPE_BYTES: usize = 512;
const HEADER_BYTES: usize = 16;

/// One partition of one topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's number, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// Names a partition.
    #[must_use]
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self {
            topic: topic.into(),
            partition,
        }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// Where reading a partition begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartOffset {
    /// At this offset: the next one to read.
    At(i64),
    /// At the oldest record that is there.
    Beginning,
    /// After the newest record that is there when the broker is asked.
    End,
}

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The topic it was read from.
    pub topic: Arc<str>,
    /// The partition it was read from.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Its Kafka timestamp; 0 if it has none.
    ///
    /// # Units
    /// Microseconds since the Unix epoch; Kafka keeps milliseconds.
    pub timestamp_us: i64,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value; none for a tombstone.
    pub payload: Option<Bytes>,
    /// Its headers in their order. Names that are not UTF-8 are mended; a header without a value has an empty
    /// one.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Record {
    /// The partition it was read from.
    #[must_use]
    pub fn partition(&self) -> TopicPartition {
        TopicPartition {
            topic: Arc::clone(&self.topic),
            partition: self.partition,
        }
    }

    /// The value of the last header of this name: later ones win.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_slice())
    }

    /// About how much memory it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let headers: usize = self
            .headers
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        self.key.as_ref().map_or(0, Bytes::len) + self.payload.as_ref().map_or(0, Bytes::len) + headers
    }
}

/// What a poll brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Polled {
    /// Records, in order within a partition; none if nothing came while the poll waited.
    Records(Vec<Record>),
    /// Partitions that are ours from now on, once [`Consumer::assign`](crate::Consumer::assign) says from
    /// where. The group waits for that.
    Assigned(Vec<TopicPartition>),
    /// Partitions that go to somebody else once [`Consumer::unassign`](crate::Consumer::unassign) lets go of
    /// them. The group waits for that, unless they are lost already
    /// ([`Consumer::assignment_lost`](crate::Consumer::assignment_lost)).
    Revoked(Vec<TopicPartition>),
}

/// A record to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The topic it goes to.
    pub topic: &'a str,
    /// The partition it goes to; none lets the key decide, as Kafka's own clients do.
    pub partition: Option<i32>,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; none makes a tombstone.
    pub payload: Option<&'a [u8]>,
    /// Its headers in their order.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// Its Kafka timestamp; none, or one in the first millisecond of 1970 or before, means now.
    ///
    /// # Units
    /// Microseconds since the Unix epoch; Kafka keeps milliseconds.
    pub timestamp_us: Option<i64>,
}

impl Outgoing<'_> {
    /// Key and payload together.
    pub(crate) fn bytes(&self) -> usize {
        self.key.map_or(0, <[u8]>::len) + self.payload.map_or(0, <[u8]>::len)
    }

    /// What it takes on the wire at most, uncompressed: with its headers and what stands around it.
    #[must_use]
    pub fn wire_bytes(&self) -> usize {
        let headers = self.headers.iter();
        let headers: usize = headers
            .map(|(name, value)| name.len() + value.len() + HEADER_BYTES)
            .sum();
        self.bytes() + headers + ENVELOPE_BYTES
    }
}
