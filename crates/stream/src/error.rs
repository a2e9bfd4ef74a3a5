//! What can go wrong with Kafka, sorted by what one can do about it.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::types::RDKafkaRespErr;

/// Why an operation on Kafka failed.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// A setting that librdkafka does not take, or that a guarantee depends on.
    #[error("Kafka setting {key}: {reason}")]
    Setting {
        /// The setting's name.
        key: String,
        /// What is wrong with it; never its value if that could be a secret.
        reason: String,
    },
    /// Somebody newer has taken over the transactional id or the partitions. Nothing was written; begin again,
    /// or leave it to the successor.
    #[error("fenced by a newer owner while {operation}")]
    Fenced {
        /// What was being done.
        operation: &'static str,
        /// What librdkafka said.
        source: KafkaError,
    },
    /// The transaction cannot be committed any more: abort it, then it may be done again.
    #[error("the transaction has to be aborted, it failed while {operation}")]
    Abortable {
        /// What was being done.
        operation: &'static str,
        /// What librdkafka said.
        source: KafkaError,
    },
    /// It did not work this time; the same call may work later.
    #[error("failed for now while {operation}")]
    Retriable {
        /// What was being done.
        operation: &'static str,
        /// What librdkafka said.
        source: KafkaError,
    },
    /// Trying again cannot help; the client has to be made anew, if not the configuration.
    #[error("failed while {operation}")]
    Fatal {
        /// What was being done.
        operation: &'static str,
        /// What librdkafka said.
        source: KafkaError,
    },
    /// The brokers know no such topic.
    #[error("topic {topic} does not exist")]
    UnknownTopic {
        /// The topic.
        topic: String,
    },
    /// A record is larger than client or broker take.
    #[error("a record of {bytes} bytes for topic {topic} is too large")]
    TooLarge {
        /// Where it was to go.
        topic: String,
        /// Its key and payload together.
        bytes: usize,
    },
    /// The offset to read from is not in the partition (any more): records are lost to us.
    #[error("an offset to read from does not exist any more")]
    OffsetLost {
        /// What librdkafka said.
        source: KafkaError,
    },
    /// A thread could not be started.
    #[error("a thread could not be started")]
    Thread(#[source] std::io::Error),
}

impl StreamError {
    /// Whether the same thing, done again (after an abort, if it is [`StreamError::Abortable`]), may work.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Retriable { .. } | Self::Abortable { .. } | Self::UnknownTopic { .. }
        )
    }

    /// Whether somebody newer has taken over.
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        matches!(self, Self::Fenced { .. })
    }

    /// Sorts an error of librdkafka.
    pub(crate) fn of(operation: &'static str, source: KafkaError) -> Self {
        let code = source.rdkafka_error_code();
        if code.is_some_and(is_fence) {
            return Self::Fenced { operation, source };
        }
        if let KafkaError::Transaction(error) = &source {
            return if error.txn_requires_abort() {
                Self::Abortable { operation, source }
            } else if error.is_retriable() {
                Self::Retriable { operation, source }
            } else {
                Self::Fatal { operation, source }
            };
        }
        match code {
            Some(Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::LogTruncation) => {
                Self::OffsetLost { source }
            }
            Some(code) if is_transient(code) => Self::Retriable { operation, source },
            _ => Self::Fatal { operation, source },
        }
    }

    /// The same for a bare code.
    pub(crate) fn of_code(operation: &'static str, code: Code) -> Self {
        Self::of(operation, KafkaError::Global(code))
    }

    /// Something took longer than it was given.
    pub(crate) fn timeout(operation: &'static str) -> Self {
        Self::of_code(operation, Code::OperationTimedOut)
    }
}

/// Whether a code says that somebody newer has taken over a transactional id or a membership.
pub(crate) fn is_fence(code: Code) -> bool {
    matches!(
        code,
        Code::Fenced
            | Code::ProducerFenced
            | Code::InvalidProducerEpoch
            | Code::IllegalGeneration
            | Code::UnknownMemberId
            | Code::FencedInstanceId
            | Code::FencedMemberEpoch
            | Code::StaleMemberEpoch
            | Code::AssignmentLost
    )
}

/// Whether a code goes away by itself: brokers restart, leaders move, groups rebalance.
pub(crate) fn is_transient(code: Code) -> bool {
    is_transient_here(code) || is_transient_there(code)
}

/// Codes of librdkafka's own.
fn is_transient_here(code: Code) -> bool {
    matches!(
        code,
        Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::TimedOutQueue
            | Code::MessageTimedOut
            | Code::WaitingForCoordinator
            | Code::InProgress
            | Code::PreviousInProgress
            | Code::Retry
            | Code::QueueFull
            | Code::UnknownPartition
            | Code::UnknownTopic
            | Code::PollExceeded
            | Code::DestroyBroker
            | Code::NodeUpdate
            | Code::WaitCache
    )
}

/// Codes of the brokers.
fn is_transient_there(code: Code) -> bool {
    matches!(
        code,
        Code::UnknownTopicOrPartition
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::RequestTimedOut
            | Code::BrokerNotAvailable
            | Code::ReplicaNotAvailable
            | Code::NetworkException
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::NotEnoughReplicas
            | Code::NotEnoughReplicasAfterAppend
            | Code::RebalanceInProgress
            | Code::NotController
            | Code::ConcurrentTransactions
            | Code::KafkaStorageError
            | Code::ReassignmentInProgress
            | Code::FencedLeaderEpoch
            | Code::UnknownLeaderEpoch
            | Code::OffsetNotAvailable
            | Code::PreferredLeaderNotAvailable
            | Code::UnstableOffsetCommit
            | Code::ThrottlingQuotaExceeded
            | Code::UnknownTopicId
            | Code::FetchSessionIdNotFound
            | Code::InvalidFetchSessionEpoch
    )
}

/// The error of a topic in a metadata answer, if it has one.
pub(crate) fn of_topic(topic: &str, error: Option<RDKafkaRespErr>) -> Option<StreamError> {
    match Code::from(error?) {
        Code::NoError => None,
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
            Some(StreamError::UnknownTopic {
                topic: topic.to_owned(),
            })
        }
        code => Some(StreamError::of_code("asking about a topic", code)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sorted_by_what_helps() {
        let of = |code| StreamError::of_code("testing", code);
        assert!(of(Code::NotCoordinator).is_retryable());
        assert!(of(Code::IllegalGeneration).is_fenced() && !of(Code::IllegalGeneration).is_retryable());
        assert!(!of(Code::TopicAuthorizationFailed).is_retryable());
        assert!(matches!(
            of(Code::AutoOffsetReset),
            StreamError::OffsetLost { .. }
        ));
    }
}
