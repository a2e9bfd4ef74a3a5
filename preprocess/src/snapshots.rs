//! Snapshots, stored in the background once everything sent before them is acknowledged (R11).

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use lake::Snapshots;
use tracing::{debug, warn};

use crate::error::PreprocessError;
use crate::metrics;

/// Snapshots that may wait to be stored; more are not taken meanwhile.
const QUEUE: usize = 4;

/// A partition's state at an input offset.
pub(crate) struct Snapshot {
    pub(crate) partition: i32,
    pub(crate) position: i64,
    pub(crate) fingerprint: String,
    pub(crate) payload: Vec<u8>,
}

/// The hand that a stage has on the thread that stores its snapshots. Dropping it stores the rest first.
pub(crate) struct Keeper {
    queue: Option<SyncSender<Snapshot>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Keeper {
    pub(crate) fn start(stage: &str, snapshots: Snapshots) -> Result<Self, PreprocessError> {
        let (queue, receiver) = sync_channel(QUEUE);
        let stage = stage.to_owned();
        let thread = std::thread::Builder::new()
            .name(format!("{stage}-snapshots"))
            .spawn(move || keep(&stage, &snapshots, &receiver))
            .map_err(|_| PreprocessError::Snapshots)?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// Stores a snapshot soon; one too many is left out, as the next one is worth more.
    pub(crate) fn keep(&self, snapshot: Snapshot) -> Result<(), PreprocessError> {
        match self.queue.as_ref().map(|queue| queue.try_send(snapshot)) {
            Some(Ok(()) | Err(TrySendError::Full(_))) => Ok(()),
            None | Some(Err(TrySendError::Disconnected(_))) => Err(PreprocessError::Snapshots),
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            warn!("the thread that stores snapshots has panicked");
        }
    }
}

fn keep(stage: &str, snapshots: &Snapshots, queue: &Receiver<Snapshot>) {
    for Snapshot {
        partition,
        position,
        fingerprint,
        payload,
    } in queue
    {
        match snapshots.put(stage, partition, position, &fingerprint, &payload) {
            Ok(()) => {
                metrics::snapshot(stage, payload.len());
                debug!(
                    stage,
                    partition,
                    position,
                    bytes = payload.len(),
                    "snapshot stored"
                );
            }
            // A snapshot only saves time: without it a successor folds a longer stretch of the log.
            Err(error) => warn!(stage, partition, position, %error, "snapshot not stored"),
        }
    }
}
