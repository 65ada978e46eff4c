//! Runs the whole product for scenarios: the only crate that sees both ends.
//!
//! | module | holds |
//! |---|---|
//! | [`stack`] | one running product: its home, its programs, its command line |
//! | [`group`] | a control group of a scenario's own, so that its sensor sees nothing else |
//! | [`load`] | many execs, and what became of them |
//! | [`usage`] | what running processes have used |
//! | [`wait`] | waiting for a thing to become true |
//! | [`skip`] | saying loudly that something cannot run here |

pub mod group;
pub mod load;
pub mod skip;
pub mod stack;
pub mod usage;
pub mod wait;
