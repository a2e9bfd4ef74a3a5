//! What is sent where.

use std::time::Duration;

use anyhow::{Context, ensure};
use schema::{Event, json};
use stream::{MAX_RECORD_BYTES, Outgoing, Producer, ProducerOptions, Topics};

use super::Sent;
use super::documents::Document;
use super::stream_of::What;
use crate::config::{Resolved, TopicsSection};

/// How long the last acknowledgements may take.
const FLUSH: Duration = Duration::from_secs(60);
/// The setting of a topic that limits its records.
const MAX_MESSAGE_BYTES: &str = "max.message.bytes";

/// Where records go, and how many have gone.
pub(super) struct Outlet<'a> {
    producer: Producer,
    topics: &'a TopicsSection,
    /// What the topic of images takes.
    largest_image: usize,
    sent: Sent,
}

impl<'a> Outlet<'a> {
    /// Connects; asks the broker how large images may be if there are any.
    pub(super) fn open(
        resolved: &'a Resolved,
        options: ProducerOptions,
        images: bool,
    ) -> anyhow::Result<Self> {
        let topics = &resolved.config.topics;
        let mut largest_image = MAX_RECORD_BYTES;
        if images {
            let described = Topics::new(&resolved.kafka)?.describe(&topics.images)?;
            let limit = described.config.get(MAX_MESSAGE_BYTES);
            let limit: Option<usize> = limit.and_then(|bytes| bytes.parse().ok());
            largest_image = limit.map_or(largest_image, |bytes| bytes.min(largest_image));
        }
        Ok(Self {
            producer: Producer::new(&resolved.kafka, options)?,
            topics,
            largest_image,
            sent: Sent::default(),
        })
    }

    /// Sends what has taken place.
    pub(super) fn send(&mut self, what: &What) -> anyhow::Result<()> {
        match what {
            What::Event(event) => self.send_json(event),
            What::Image(document) => self.send_file(document),
        }
    }

    fn send_json(&mut self, event: &Event) -> anyhow::Result<()> {
        let (topic, id, count) = match event {
            Event::Transaction(t) => {
                let topic = &self.topics.transactions;
                (topic, t.transaction_id.as_str(), &mut self.sent.transactions)
            }
            Event::Label(l) => {
                let count = match l.subject.image_id() {
                    Some(_) => &mut self.sent.image_labels,
                    None => &mut self.sent.labels,
                };
                (&self.topics.labels, l.subject.id(), count)
            }
            Event::Image(_) => unreachable!("an image goes with its file"),
        };
        self.producer.send(Outgoing {
            topic,
            partition: None,
            key: Some(id.as_bytes()),
            payload: Some(&json::encode(event)),
            headers: &[],
            timestamp_us: None,
        })?;
        *count += 1;
        Ok(())
    }

    fn send_file(&mut self, document: &Document) -> anyhow::Result<()> {
        let file = document.file()?;
        let headers = json::headers_of_image(&document.image);
        let headers: Vec<(&str, &[u8])> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        let outgoing = Outgoing {
            topic: &self.topics.images,
            partition: None,
            key: Some(document.image.image_id.as_bytes()),
            payload: Some(&file),
            headers: &headers,
            timestamp_us: None,
        };
        // A record that the broker refuses would end the producer, and with it what was sent before.
        let (have, most) = (outgoing.wire_bytes(), self.largest_image);
        ensure!(
            have <= most,
            "{document}: its record of {have} bytes is larger than the {most} that topic {} takes",
            outgoing.topic
        );
        self.producer
            .send(outgoing)
            .with_context(|| document.to_string())?;
        self.sent.images += 1;
        Ok(())
    }

    /// Waits until everything is acknowledged; what has gone.
    pub(super) fn finish(mut self) -> anyhow::Result<Sent> {
        self.producer.flush(FLUSH)?;
        Ok(self.sent)
    }
}
