//! Records in OCSF: every kind of events, and findings, held against the schemas of their classes, against golden files and against
//! `docs/ocsf.md`.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

#[path = "ocsf/arbitrary.rs"]
mod arbitrary;
#[path = "ocsf/ecs.rs"]
mod ecs;
#[path = "ocsf/examples.rs"]
mod examples;
#[path = "ocsf/found_out.rs"]
mod found_out;
#[path = "ocsf/golden.rs"]
mod golden;
#[path = "ocsf/kept.rs"]
mod kept;
#[path = "ocsf/large.rs"]
mod large;
#[path = "ocsf/reference.rs"]
mod reference;
#[path = "support/ocsf.rs"]
mod schema;
#[path = "ocsf/strict.rs"]
mod strict;
#[path = "ocsf/valid.rs"]
mod valid;
#[path = "ocsf/world.rs"]
mod world;
