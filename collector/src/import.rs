//! What others have written, as rules. Pure.

pub mod tracing_policy;
