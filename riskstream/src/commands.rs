//! What each command does.

pub(crate) mod consume;
pub(crate) mod demo;
pub(crate) mod explain;
pub(crate) mod images;
pub(crate) mod models;
pub(crate) mod produce;
pub(crate) mod topics;
pub(crate) mod train;
pub(crate) mod up;

/// How a report is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}
