//! Making and deleting topics.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication, TopicResult};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use crate::broker::config;

const TIMEOUT: Duration = Duration::from_secs(30);

/// Makes topics with one copy of each partition.
pub(crate) fn create(servers: &str, names: &[String], partitions: i32) -> anyhow::Result<()> {
    let new = |name| NewTopic::new(name, partitions, TopicReplication::Fixed(1));
    let topics: Vec<NewTopic<'_>> = names.iter().map(|name| new(name.as_str())).collect();
    check(wait_for(
        admin(servers)?.create_topics(&topics, &AdminOptions::new()),
    )?)
}

/// Deletes the topics whose names begin so.
pub(crate) fn delete(client: &BaseConsumer, servers: &str, prefix: &str) -> anyhow::Result<()> {
    let metadata = client.fetch_metadata(None, TIMEOUT)?;
    let names = metadata
        .topics()
        .iter()
        .map(|topic| topic.name())
        .filter(|name| name.starts_with(prefix));
    let names: Vec<&str> = names.collect();
    check(wait_for(
        admin(servers)?.delete_topics(&names, &AdminOptions::new()),
    )?)
}

fn admin(servers: &str) -> anyhow::Result<AdminClient<DefaultClientContext>> {
    config(servers).create().context("an admin client")
}

fn check(results: Vec<TopicResult>) -> anyhow::Result<()> {
    for result in results {
        if let Err((topic, code)) = result {
            bail!("{topic}: {code}");
        }
    }
    Ok(())
}

/// Wakes a thread that waits for a future: the admin client answers from a thread of its own.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn wait_for<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}
