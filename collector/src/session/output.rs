//! What the session tells its driver.

use wire::authority::AuthorityId;
use wire::frame::Code;
use wire::frame::collector::FromCollector;
use wire::frame::sensor::{Facts, Hello};
use wire::time::WallTime;

use super::Key;
use crate::listener::{Finding, Item};

/// What to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Write a frame to the control stream.
    Send(FromCollector),
    /// Look up the watermarks of these streams, then call [`super::Session::handle_watermarks`]. Not
    /// more than one at a time.
    LookUp(Vec<Key>),
    /// Hand this to the store, then call [`super::Session::handle_outcome`].
    Deliver {
        /// The number to answer with.
        delivery: u64,
        /// Which stream.
        key: Key,
        /// When it came.
        received_at: WallTime,
        /// Whether it was sealed before the session, or the host has begun a newer epoch: what happens now comes first.
        is_behind: bool,
        /// What.
        item: Item,
    },
    /// The sensor has said who it is.
    Connected(Box<Hello>),
    /// The sensor is alive, and says this.
    Heartbeat(Box<Facts>),
    /// The sensor says which authorities it trusts.
    Trusts(Vec<AuthorityId>),
    /// Tell a person.
    Finding(Finding),
    /// Close the connection with this code; nothing follows.
    Ended {
        /// Why.
        code: Code,
        /// Why, for a person.
        reason: String,
    },
}
