//! Delta tables with exactly-once appends, snapshots of state, document images, and plain objects.
//!
//! The interface is synchronous. Behind a [`Store`] runs a private current-thread runtime, so nothing here may be
//! called from within an asynchronous task.

mod error;
mod images;
mod snapshots;
mod store;
mod table;

pub use error::{LakeError, Result};
pub use images::Images;
pub use snapshots::{Snapshot, Snapshots};
pub use store::{ObjectInfo, Store};
pub use table::{Appended, Scan, Table, TimeRange};
