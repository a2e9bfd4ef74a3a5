//! Making topics and looking at them.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::metadata::Metadata;

use crate::Result;
use crate::config::Kafka;
use crate::error::{StreamError, of_topic};
use crate::log::Logging;

/// How long brokers may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait before looking again whether a new topic is there.
const AGAIN: Duration = Duration::from_millis(20);

/// A topic as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// How many partitions it has.
    pub partitions: i32,
    /// How many copies of each; none leaves it to the brokers.
    pub replication: Option<i32>,
    /// Its settings, where they are to differ from the brokers'.
    pub config: BTreeMap<String, String>,
}

/// What became of a topic that was to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was made.
    Created,
    /// It was there, with as many partitions and these settings.
    Existed,
    /// It was there with another number of partitions. That cannot be changed without moving keys between
    /// partitions, which nothing here survives (R15).
    PartitionsDiffer {
        /// As many were asked for.
        want: i32,
        /// As many there are.
        have: i32,
    },
    /// It was there with other settings; the first that differs is named.
    SettingDiffers {
        /// The setting's name.
        key: String,
        /// The value asked for.
        want: String,
        /// The value it has.
        have: String,
    },
}

/// A topic as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDescription {
    /// Its name.
    pub name: String,
    /// How many partitions it has.
    pub partitions: i32,
    /// How many copies of each.
    pub replication: i32,
    /// All its settings, the brokers' defaults included.
    pub config: BTreeMap<String, String>,
}

/// Makes topics and tells what they are like.
pub struct Topics {
    admin: AdminClient<Logging>,
}

impl Topics {
    /// Opens the door to the topics of a cluster.
    ///
    /// # Errors
    /// If the client cannot be made.
    pub fn new(kafka: &Kafka) -> Result<Self> {
        let created = kafka.admin().create_with_context(Logging);
        Ok(Self {
            admin: created.map_err(|e| StreamError::of("creating an administrator", e))?,
        })
    }

    /// Creates the topics that are not there, tells about those that are, and changes none. Returns when all
    /// can be used, outcomes in the order asked.
    ///
    /// # Errors
    /// If a topic cannot be created, or the brokers do not answer in time.
    pub fn create(&self, specs: &[TopicSpec]) -> Result<Vec<Outcome>> {
        let new: Vec<NewTopic<'_>> = specs.iter().map(new_topic).collect();
        let results = block_on(self.admin.create_topics(&new, &options()));
        let results = results.map_err(|e| StreamError::of("creating topics", e))?;
        let mut found: BTreeMap<String, Code> = BTreeMap::new();
        for result in results {
            let (name, code) = result.map_or_else(|error| error, |name| (name, Code::NoError));
            found.insert(name, code);
        }
        let mut outcomes = Vec::with_capacity(specs.len());
        for spec in specs {
            outcomes.push(match found.get(&spec.name) {
                Some(Code::NoError) => self.wait_for(spec)?,
                Some(Code::TopicAlreadyExists) => self.compare(spec)?,
                Some(code) => return Err(StreamError::of_code("creating topics", *code)),
                None => {
                    return Err(StreamError::UnknownTopic {
                        topic: spec.name.clone(),
                    });
                }
            });
        }
        Ok(outcomes)
    }

    /// Waits until every partition of a new topic has a leader, so that nobody meets it half made.
    fn wait_for(&self, spec: &TopicSpec) -> Result<Outcome> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let metadata = self.metadata(Some(&spec.name))?;
            let topic = metadata
                .topics()
                .iter()
                .find(|t| t.name() == spec.name && t.error().is_none());
            let leaders = topic.map_or(0, |t| t.partitions().iter().filter(|p| p.leader() >= 0).count());
            if i32::try_from(leaders) == Ok(spec.partitions) {
                return Ok(Outcome::Created);
            }
            if Instant::now() > deadline {
                return Err(StreamError::timeout("waiting for a new topic"));
            }
            std::thread::sleep(AGAIN);
        }
    }

    fn compare(&self, spec: &TopicSpec) -> Result<Outcome> {
        let have = self.describe(&spec.name)?;
        if have.partitions != spec.partitions {
            return Ok(Outcome::PartitionsDiffer {
                want: spec.partitions,
                have: have.partitions,
            });
        }
        for (key, want) in &spec.config {
            let value = have.config.get(key).cloned().unwrap_or_default();
            if value != *want {
                return Ok(Outcome::SettingDiffers {
                    key: key.clone(),
                    want: want.clone(),
                    have: value,
                });
            }
        }
        Ok(Outcome::Existed)
    }

    /// The names of all topics, Kafka's own (`__…`) left out.
    ///
    /// # Errors
    /// If no broker answers in time.
    pub fn list(&self) -> Result<Vec<String>> {
        let metadata = self.metadata(None)?;
        let names = metadata.topics().iter().map(|topic| topic.name().to_owned());
        let mut names: Vec<String> = names.filter(|name| !name.starts_with("__")).collect();
        names.sort();
        Ok(names)
    }

    /// What a topic is like.
    ///
    /// # Errors
    /// [`StreamError::UnknownTopic`] if there is none.
    pub fn describe(&self, topic: &str) -> Result<TopicDescription> {
        let unknown = || StreamError::UnknownTopic {
            topic: topic.to_owned(),
        };
        let metadata = self.metadata(Some(topic))?;
        let found = metadata
            .topics()
            .iter()
            .find(|t| t.name() == topic)
            .ok_or_else(unknown)?;
        if let Some(error) = of_topic(topic, found.error()) {
            return Err(error);
        }
        let replication = found
            .partitions()
            .first()
            .map_or(0, |partition| partition.replicas().len());
        Ok(TopicDescription {
            name: topic.to_owned(),
            partitions: i32::try_from(found.partitions().len()).unwrap_or(i32::MAX),
            replication: i32::try_from(replication).unwrap_or(i32::MAX),
            config: self.config(topic)?,
        })
    }

    fn config(&self, topic: &str) -> Result<BTreeMap<String, String>> {
        const OPERATION: &str = "asking for a topic's settings";
        let asked = [ResourceSpecifier::Topic(topic)];
        let described = block_on(self.admin.describe_configs(&asked, &options()));
        let described = described.map_err(|e| StreamError::of(OPERATION, e))?;
        let resources: std::result::Result<Vec<ConfigResource>, Code> = described.into_iter().collect();
        let resources = resources.map_err(|code| StreamError::of_code(OPERATION, code))?;
        let entries = resources.into_iter().flat_map(|resource| resource.entries);
        Ok(entries
            .map(|entry| (entry.name, entry.value.unwrap_or_default()))
            .collect())
    }

    fn metadata(&self, topic: Option<&str>) -> Result<Metadata> {
        let asked = self.admin.inner().fetch_metadata(topic, TIMEOUT);
        asked.map_err(|e| StreamError::of("asking about topics", e))
    }
}

fn new_topic(spec: &TopicSpec) -> NewTopic<'_> {
    let replication = TopicReplication::Fixed(spec.replication.unwrap_or(-1));
    let topic = NewTopic::new(&spec.name, spec.partitions, replication);
    spec.config
        .iter()
        .fold(topic, |topic, (key, value)| topic.set(key, value))
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(TIMEOUT))
        .operation_timeout(Some(TIMEOUT))
}

/// Waits for an answer that librdkafka's own thread will bring, so no runtime is needed.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}
