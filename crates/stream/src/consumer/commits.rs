//! Committing offsets, with what is to be known at them.

use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode as Code;
use tracing::warn;

use super::Consumer;
use super::offsets::with_metadata;
use crate::Result;
use crate::error::{StreamError, is_fence, is_transient};
use crate::record::TopicPartition;

/// How long a commit may take before it counts as not done.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// It is stored.
    Done,
    /// It was refused, in whole or in part: a partition is not ours any more. A rebalance will tell.
    Fenced,
    /// It may or may not be stored: the group is busy or its broker away. A later commit makes it good.
    Retriable,
}

impl Consumer {
    /// Commits offsets (next to read) with their metadata and waits for the answer.
    ///
    /// Only partitions assigned to this consumer can be committed. The client would let others pass while the
    /// group is empty, and a successor would go back to them.
    ///
    /// # Errors
    /// If a retry cannot help, as with metadata larger than the broker takes.
    pub fn commit(&self, offsets: &[(TopicPartition, i64, String)]) -> Result<CommitOutcome> {
        if offsets.is_empty() {
            return Ok(CommitOutcome::Done);
        }
        let deadline = Instant::now() + COMMIT_TIMEOUT;
        // Answers come in order, so one that is under way has to be taken first.
        if self.commit_under_way.get() && self.answer(deadline)?.is_none() {
            return Ok(CommitOutcome::Retriable);
        }
        if !self.send_commit(offsets)? {
            return Ok(CommitOutcome::Fenced);
        }
        Ok(self.answer(deadline)?.unwrap_or(CommitOutcome::Retriable))
    }

    /// Commits offsets without waiting, if no commit is under way. Says whether it was sent; if not, a later
    /// one will cover it. How it ended, [`Consumer::finished_commit`] tells.
    ///
    /// One at a time, because a repeated older commit must not overtake a newer one.
    ///
    /// # Errors
    /// As [`Consumer::commit`].
    pub fn commit_async(&self, offsets: &[(TopicPartition, i64, String)]) -> Result<bool> {
        if self.commit_under_way.get() {
            return Ok(false);
        }
        self.send_commit(offsets)
    }

    /// How the last [`Consumer::commit_async`] ended, once it has.
    ///
    /// # Errors
    /// As [`Consumer::commit`].
    pub fn finished_commit(&self) -> Result<Option<CommitOutcome>> {
        if self.commit_under_way.get() {
            self.answer(Instant::now())
        } else {
            Ok(None)
        }
    }

    /// Sends a commit if every partition is ours.
    fn send_commit(&self, offsets: &[(TopicPartition, i64, String)]) -> Result<bool> {
        if self.generation().is_none()
            || offsets
                .iter()
                .any(|(partition, ..)| !self.owned.contains(partition))
        {
            return Ok(false);
        }
        let sent = self.commits.send(&with_metadata(offsets)?);
        sent.map_err(|code| StreamError::of_code("committing offsets", code))?;
        self.commit_under_way.set(true);
        Ok(true)
    }

    /// The answer to the commit under way, if it comes in time.
    fn answer(&self, deadline: Instant) -> Result<Option<CommitOutcome>> {
        let patience = deadline.saturating_duration_since(Instant::now());
        let Some(answer) = self.commits.answer(patience) else {
            return Ok(None);
        };
        self.commit_under_way.set(false);
        match answer.0 {
            Code::NoError => Ok(Some(CommitOutcome::Done)),
            code if is_fence(code) => {
                warn!(%code, "a commit was refused: the partitions have another owner");
                Ok(Some(CommitOutcome::Fenced))
            }
            code if is_transient(code) => Ok(Some(CommitOutcome::Retriable)),
            code => Err(StreamError::of_code("committing offsets", code)),
        }
    }
}
