//! One host's kernel events, enriched, batched and shipped to a collector.
//!
//! Must never import `vedette-collector`, sqlx or axum; only [`probe`] may name aya.

pub mod account;
pub mod call;
pub mod canary;
pub mod check;
pub mod clock;
pub mod collection;
pub mod config;
pub mod container;
pub mod dns;
pub mod enrich;
pub mod enroll;
pub mod escape;
pub mod guard;
pub mod hash;
pub mod home;
pub mod host_root;
pub mod identity;
pub mod manual;
pub mod metrics;
pub mod outbox;
pub mod pipeline;
pub mod plan;
pub mod probe;
mod proc;
pub mod record;
pub mod redact;
pub mod renew;
pub mod run;
pub mod seal;
pub mod session;
pub mod spool;
mod sys;
pub mod table;
pub mod uplink;
pub mod user;
