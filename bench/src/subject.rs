//! What can be measured.

use clap::ValueEnum;
use serde::Serialize;

/// One way from raw topic to last topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Subject {
    /// riskstream, scores in transactions.
    RiskstreamTransactional,
    /// The bare chain, its last hop in transactions.
    PeerTransactional,
    /// riskstream, scores by an idempotent producer.
    RiskstreamIdempotent,
    /// The bare chain, all hops idempotent.
    PeerIdempotent,
}

/// How records leave the last hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Delivery {
    /// In transactions with their offsets.
    Transactional,
    /// By an idempotent producer.
    Idempotent,
}

impl Delivery {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Transactional => "transactional",
            Self::Idempotent => "idempotent",
        }
    }
}

impl Subject {
    /// In the order they are measured: ours and its peer in turn.
    pub(crate) const ALL: [Self; 4] = [
        Self::RiskstreamTransactional,
        Self::PeerTransactional,
        Self::RiskstreamIdempotent,
        Self::PeerIdempotent,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RiskstreamTransactional => "riskstream, transactional",
            Self::PeerTransactional => "bare chain, transactional",
            Self::RiskstreamIdempotent => "riskstream, idempotent",
            Self::PeerIdempotent => "bare chain, idempotent",
        }
    }

    pub(crate) fn delivery(self) -> Delivery {
        match self {
            Self::RiskstreamTransactional | Self::PeerTransactional => Delivery::Transactional,
            Self::RiskstreamIdempotent | Self::PeerIdempotent => Delivery::Idempotent,
        }
    }

    /// The bare chain that riskstream is held against; none for a chain.
    pub(crate) fn peer(self) -> Option<Self> {
        match self {
            Self::RiskstreamTransactional => Some(Self::PeerTransactional),
            Self::RiskstreamIdempotent => Some(Self::PeerIdempotent),
            Self::PeerTransactional | Self::PeerIdempotent => None,
        }
    }
}
