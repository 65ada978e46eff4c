//! The fleet's keys, played with the real programs: two collectors over one database, sensors' own code for their sessions.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod backup;
mod collector;
mod enrolment;
mod handshake;
mod revocation;
mod rotation;
mod sensor;

use std::time::Duration;

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);
