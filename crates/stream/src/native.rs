//! What rdkafka does not wrap, or wraps at a price; the only unsafe code of this crate.
//!
//! - The group's generation, which the log's words carry (R7).
//! - A flush that ends when it is done: rdkafka's own serves events in slices of 100 ms.
//! - Delivery reports served by a thread that neither spins nor allocates for each of them.
//! - Commits with a deadline and an answer for every partition.
//! - The position with the markers of transactions counted, and ends that are known without asking.
//! - Headers whose names are not UTF-8: rdkafka panics on them, and anybody can send them.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::message::BorrowedMessage;
use rdkafka::types::{RDKafka, RDKafkaRespErr};
use rdkafka::{Offset, TopicPartitionList};

use crate::record::TopicPartition;

/// Something that owns a librdkafka client and keeps it alive.
pub(crate) trait Handle: Send + Sync {
    /// The client, valid as long as `self` is.
    fn native(&self) -> *mut RDKafka;
}

/// The generation of the group as of now; none before the first join.
pub(crate) fn generation(handle: &impl Handle) -> Option<i64> {
    // SAFETY: the client is alive, the metadata are ours and destroyed once, after their last use.
    let generation = unsafe {
        let metadata = sys::rd_kafka_consumer_group_metadata(handle.native());
        if metadata.is_null() {
            return None;
        }
        let generation = sys::rd_kafka_consumer_group_metadata_generation_id(metadata);
        sys::rd_kafka_consumer_group_metadata_destroy(metadata);
        generation
    };
    (generation >= 0).then_some(i64::from(generation))
}

/// Waits until every record sent before is acknowledged or has failed, and its report is served.
pub(crate) fn flush(handle: &impl Handle, timeout: Duration) -> Result<(), Code> {
    // SAFETY: the client is alive.
    match unsafe { sys::rd_kafka_flush(handle.native(), millis(timeout)) } {
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
        error => Err(error.into()),
    }
}

/// The end of a partition as of the last fetch.
pub(crate) fn cached_end(handle: &impl Handle, partition: &TopicPartition) -> Option<i64> {
    let topic = CString::new(&*partition.topic).ok()?;
    let (mut low, mut high) = (-1, -1);
    // SAFETY: the client is alive, the name outlives the call, and the results are written before it returns.
    let error = unsafe {
        sys::rd_kafka_get_watermark_offsets(
            handle.native(),
            topic.as_ptr(),
            partition.partition,
            &raw mut low,
            &raw mut high,
        )
    };
    (error == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0).then_some(high)
}

/// The offset after the last record or marker that a poll has gone past; none before the first.
pub(crate) fn position(handle: &impl Handle, partition: &TopicPartition) -> Option<i64> {
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition(&partition.topic, partition.partition);
    // SAFETY: client and list are alive.
    let error = unsafe { sys::rd_kafka_position(handle.native(), list.ptr()) };
    match list.elements().first()?.offset() {
        Offset::Offset(offset) if error == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => Some(offset),
        _ => None,
    }
}

/// The headers of a message, names mended where they are not UTF-8.
pub(crate) fn headers(message: &BorrowedMessage<'_>) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut headers = ptr::null_mut();
    // SAFETY: the message is alive while it is borrowed, and with it its headers; names end in NUL; a value is
    // null or as long as it says.
    unsafe {
        let error = sys::rd_kafka_message_headers(message.ptr(), &raw mut headers);
        if error != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return found;
        }
        let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
        while sys::rd_kafka_header_get_all(headers, found.len(), &raw mut name, &raw mut value, &raw mut size)
            == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR
        {
            let value = if value.is_null() {
                &[][..]
            } else {
                slice::from_raw_parts(value.cast::<u8>(), size)
            };
            found.push((text(name), value.to_vec()));
        }
    }
    found
}

/// An event queue of a client, which it keeps alive.
struct Queue<H: Handle> {
    queue: *mut sys::rd_kafka_queue_t,
    handle: Arc<H>,
}

// SAFETY: librdkafka's queues may be used by any thread.
unsafe impl<H: Handle> Send for Queue<H> {}
// SAFETY: as above, and by several at once.
unsafe impl<H: Handle> Sync for Queue<H> {}

impl<H: Handle> Queue<H> {
    fn poll(&self, timeout: Duration) -> Option<Event> {
        // SAFETY: the queue is alive; the event is ours.
        let event = unsafe { sys::rd_kafka_queue_poll(self.queue, millis(timeout)) };
        (!event.is_null()).then_some(Event(event))
    }
}

impl<H: Handle> Drop for Queue<H> {
    fn drop(&mut self) {
        // SAFETY: destroyed once, and before the client, which `handle` still holds.
        unsafe { sys::rd_kafka_queue_destroy(self.queue) }
    }
}

/// An event that is ours to destroy.
struct Event(*mut sys::rd_kafka_event_t);

impl Event {
    fn code(&self) -> Code {
        // SAFETY: the event is alive.
        unsafe { sys::rd_kafka_event_error(self.0) }.into()
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: destroyed once, after its last use.
        unsafe { sys::rd_kafka_event_destroy(self.0) }
    }
}

/// The answers to commits.
pub(crate) struct CommitQueue<H: Handle>(Queue<H>);

/// The answer to one commit: the worst code over its partitions.
pub(crate) struct Answer(pub(crate) Code);

impl<H: Handle> CommitQueue<H> {
    pub(crate) fn new(handle: Arc<H>) -> Self {
        // SAFETY: the client is alive, and kept so by the queue.
        let queue = unsafe { sys::rd_kafka_queue_new(handle.native()) };
        Self(Queue { queue, handle })
    }

    /// Hands a commit to the client's own thread; its answer will be in the queue.
    pub(crate) fn send(&self, offsets: &TopicPartitionList) -> Result<(), Code> {
        // SAFETY: client, list and queue are alive; the list is copied; without a callback the answer comes as
        // an event.
        let error = unsafe {
            sys::rd_kafka_commit_queue(
                self.0.handle.native(),
                offsets.ptr(),
                self.0.queue,
                None,
                ptr::null_mut(),
            )
        };
        if error == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            Ok(())
        } else {
            Err(error.into())
        }
    }

    /// Takes the next answer, if there is one in time.
    pub(crate) fn answer(&self, timeout: Duration) -> Option<Answer> {
        let event = self.0.poll(timeout)?;
        if event.code() != Code::NoError {
            return Some(Answer(event.code()));
        }
        // SAFETY: the list belongs to the event, which is alive, and has as many elements as it says.
        let worst = unsafe {
            let list = sys::rd_kafka_event_topic_partition_list(event.0);
            if list.is_null() || (*list).cnt <= 0 {
                return Some(Answer(Code::NoError));
            }
            let count = usize::try_from((*list).cnt).unwrap_or(0);
            let mut codes = slice::from_raw_parts((*list).elems, count)
                .iter()
                .map(|e| Code::from(e.err));
            codes.find(|code| *code != Code::NoError)
        };
        Some(Answer(worst.unwrap_or(Code::NoError)))
    }
}

/// The delivery reports of a producer.
pub(crate) struct ReportQueue<H: Handle>(Queue<H>);

/// What a producer's main queue brings.
pub(crate) enum Report<'a> {
    /// The record sent with this number is acknowledged, or has failed.
    Delivered { number: usize, code: Code },
    /// A line of the client's log.
    Log {
        level: RDKafkaLogLevel,
        facility: &'a str,
        message: &'a str,
    },
    /// The client is in trouble, but goes on.
    Trouble { code: Code, reason: &'a str },
}

impl<H: Handle> ReportQueue<H> {
    pub(crate) fn new(handle: Arc<H>) -> Self {
        // SAFETY: the client is alive, and kept so by the queue.
        let queue = unsafe { sys::rd_kafka_queue_get_main(handle.native()) };
        Self(Queue { queue, handle })
    }

    /// Waits for the next event and tells what is in it. Says whether there was one.
    pub(crate) fn serve(&self, timeout: Duration, mut tell: impl FnMut(Report<'_>)) -> bool {
        let Some(event) = self.0.poll(timeout) else {
            return false;
        };
        // SAFETY: the event is alive until the end of this function, and with it its messages and strings; a
        // message's private pointer is the number it was sent with.
        unsafe {
            match sys::rd_kafka_event_type(event.0) {
                sys::RD_KAFKA_EVENT_DR => loop {
                    let message = sys::rd_kafka_event_message_next(event.0);
                    if message.is_null() {
                        break;
                    }
                    tell(Report::Delivered {
                        number: (*message)._private as usize,
                        code: (*message).err.into(),
                    });
                },
                sys::RD_KAFKA_EVENT_LOG => {
                    let (mut facility, mut message, mut level) = (ptr::null(), ptr::null(), 0);
                    sys::rd_kafka_event_log(event.0, &raw mut facility, &raw mut message, &raw mut level);
                    let level = log_level(level);
                    tell(Report::Log {
                        level,
                        facility: text(facility).trim(),
                        message: text(message).trim(),
                    });
                }
                sys::RD_KAFKA_EVENT_ERROR => {
                    let reason = text(sys::rd_kafka_event_error_string(event.0));
                    tell(Report::Trouble {
                        code: event.code(),
                        reason: reason.trim(),
                    });
                }
                _ => {}
            }
        }
        true
    }

    /// Makes the thread that waits in [`ReportQueue::serve`] look up.
    pub(crate) fn wake(&self) {
        // SAFETY: the queue is alive.
        unsafe { sys::rd_kafka_queue_yield(self.0.queue) }
    }
}

fn log_level(level: c_int) -> RDKafkaLogLevel {
    match level {
        ..=3 => RDKafkaLogLevel::Error,
        4 => RDKafkaLogLevel::Warning,
        5..=6 => RDKafkaLogLevel::Info,
        _ => RDKafkaLogLevel::Debug,
    }
}

/// A C string, mended where it is not UTF-8.
///
/// # Safety
/// It is null or ends in NUL.
unsafe fn text(string: *const c_char) -> String {
    if string.is_null() {
        return String::new();
    }
    // SAFETY: not null, so it ends in NUL.
    unsafe { CStr::from_ptr(string) }.to_string_lossy().into_owned()
}

/// Whole milliseconds, rounded up: rounded down, a wait of less than one would spin.
fn millis(timeout: Duration) -> c_int {
    c_int::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(c_int::MAX)
}
