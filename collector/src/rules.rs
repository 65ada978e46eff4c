//! Rules: how they are written, and what they would have hit. What they mean is [`wire::rule`]'s.
//!
//! | file | holds |
//! |---|---|
//! | [`file`] | rules as they stand in a file, YAML, with the line of each part |
//! | [`expiry`] | until when a rule lasts |
//! | [`coverage`] | how much of history could have shown what a rule asks for |

pub mod coverage;
pub mod expiry;
pub mod file;

pub use coverage::Coverage;
pub use expiry::Expiry;
pub use file::{Problem, Written};
