//! The programs on the real kernel: do one thing, find exactly its record.
//!
//! Each test has a pin folder and a control group of its own, so they run beside each other and
//! beside a running sensor. Without root they skip by name.

#[expect(clippy::unwrap_used, reason = "tests")]
mod bench;
#[expect(clippy::unwrap_used, reason = "tests")]
mod bind;
#[expect(clippy::unwrap_used, reason = "tests")]
mod bpf;
#[expect(clippy::unwrap_used, reason = "tests")]
mod call;
#[expect(clippy::unwrap_used, reason = "tests")]
mod child;
#[expect(clippy::unwrap_used, reason = "tests")]
mod collection;
#[expect(clippy::unwrap_used, reason = "tests")]
mod container;
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod dns;
#[expect(clippy::unwrap_used, reason = "tests")]
mod executable;
#[expect(dead_code, reason = "the records are only kept for it")]
#[path = "../hostile/feed.rs"]
mod feed;
#[expect(clippy::unwrap_used, reason = "tests")]
mod file;
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod flow;
#[expect(clippy::unwrap_used, reason = "tests")]
mod lifecycle;
#[expect(clippy::unwrap_used, reason = "tests")]
mod neglect;
#[expect(clippy::unwrap_used, reason = "tests")]
mod network;
#[expect(clippy::unwrap_used, reason = "tests")]
mod place;
#[expect(clippy::unwrap_used, reason = "tests")]
mod process;
#[expect(clippy::unwrap_used, reason = "tests")]
mod socket;
#[expect(clippy::unwrap_used, reason = "tests")]
mod tamper;
#[expect(clippy::unwrap_used, reason = "tests")]
mod target;
#[expect(clippy::unwrap_used, reason = "tests")]
mod upgrade;
