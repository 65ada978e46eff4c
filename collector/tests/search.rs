//! Search, trees and tails on a real PostgreSQL.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod support;

#[path = "search/counts.rs"]
mod counts;
#[path = "search/lineage.rs"]
mod lineage;
#[path = "search/listing.rs"]
mod listing;
#[path = "search/stopping.rs"]
mod stopping;
#[path = "search/survey.rs"]
mod survey;
#[path = "search/tail.rs"]
mod tail;
#[path = "search/world.rs"]
mod world;
