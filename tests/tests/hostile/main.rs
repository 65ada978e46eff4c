//! Broken and hostile nodes against running collectors on a real PostgreSQL, beside healthy hosts that go on.
//!
//! Every play holds a collector to the same: the connection is closed with a typed code, nothing of it is stored, the
//! healthy hosts lose nothing and go on, memory is back to where it was within five seconds, a counter moves, and the log
//! has a line about it, but not one for each time ([`scene::Scene::judge`]).

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod batches;
mod client;
mod enrolment;
mod frames;
mod handshakes;
mod https;
mod identities;
mod initial;
mod numbers;
mod packets;
mod processes;
mod rate;
mod scene;
mod slowness;
mod source;
mod streams;
mod strings;
mod time;
