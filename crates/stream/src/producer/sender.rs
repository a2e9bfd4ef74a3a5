//! The client of a producer with the thread that serves its delivery reports.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, DeliveryResult, Producer as _, ProducerContext};
use rdkafka::types::RDKafka;

use super::deliveries::Deliveries;
use crate::error::StreamError;
use crate::native::{Handle, Report, ReportQueue};
use crate::{Result, log};

/// How long the thread waits for a report before it looks whether it shall stop.
const LOOK_UP: Duration = Duration::from_secs(1);

/// A client that sends, and what is known of what it has sent.
pub(super) struct Sender {
    client: Arc<BaseProducer<Context>>,
    deliveries: Arc<Deliveries>,
    reports: Arc<ReportQueue<BaseProducer<Context>>>,
    sent: AtomicU64,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sender {
    pub(super) fn start(config: &ClientConfig) -> Result<Self> {
        let created = config.create_with_context(Context);
        let client: Arc<BaseProducer<Context>> =
            Arc::new(created.map_err(|e| StreamError::of("creating a producer", e))?);
        let deliveries = Arc::new(Deliveries::default());
        let reports = Arc::new(ReportQueue::new(Arc::clone(&client)));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new().name("kafka-reports".into()).spawn({
            let (deliveries, reports, stop) =
                (Arc::clone(&deliveries), Arc::clone(&reports), Arc::clone(&stop));
            move || serve(&reports, &deliveries, &stop)
        });
        let thread = Some(thread.map_err(StreamError::Thread)?);
        Ok(Self {
            client,
            deliveries,
            reports,
            sent: AtomicU64::new(0),
            stop,
            thread,
        })
    }

    pub(super) fn client(&self) -> &BaseProducer<Context> {
        &self.client
    }

    pub(super) fn deliveries(&self) -> &Deliveries {
        &self.deliveries
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(super) fn count(&self, number: u64) {
        self.sent.store(number, Ordering::Relaxed);
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.reports.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(reports: &ReportQueue<BaseProducer<Context>>, deliveries: &Deliveries, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        reports.serve(LOOK_UP, |report| match report {
            Report::Delivered { number, code } => deliveries.settle(number as u64, code),
            Report::Log {
                level,
                facility,
                message,
            } => log::line(level, facility, message),
            Report::Trouble { code, reason } => log::trouble(&KafkaError::Global(code), reason),
        });
    }
}

/// The context of a producer. Its reports go to [`serve`]; rdkafka itself serves only those of records that
/// are given up when it is dropped.
pub(super) struct Context;

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log::line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log::trouble(&error, reason);
    }
}

impl ProducerContext for Context {
    /// A record's sequence number.
    type DeliveryOpaque = usize;

    fn delivery(&self, _: &DeliveryResult<'_>, _: usize) {}
}

impl Handle for BaseProducer<Context> {
    fn native(&self) -> *mut RDKafka {
        self.client().native_ptr()
    }
}
