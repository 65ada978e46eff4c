//! Why a connection ends, and why a batch is refused.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a connection was closed: the QUIC application error code, and the code of a `Goodbye`.
///
/// Numbers are never reused; one that is not known is shown as it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Code(pub u32);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $n:literal $text:literal,)*) => {
        impl Code {
            $($(#[$doc])* pub const $name: Code = Code($n);)*

            /// A short name, also the label of metrics; `other` for one that is not known.
            pub const fn name(self) -> &'static str {
                match self.0 { $($n => $text,)* _ => "other" }
            }
        }
    };
}

codes! {
    /// The other side is done: a restart, an orderly end.
    DONE = 0 "done",
    /// The other side is shutting down; reconnect elsewhere, soon.
    SHUTDOWN = 1 "shutdown",
    /// No protocol version in common.
    VERSION = 2 "version",
    /// A frame that cannot be read, or one longer than its bound.
    BAD_FRAME = 3 "bad_frame",
    /// A frame that can be read but may not come now.
    OUT_OF_ORDER = 4 "out_of_order",
    /// More was sent than credit was given for.
    OVER_CREDIT = 5 "over_credit",
    /// Too many streams, or opened too fast.
    TOO_MANY_STREAMS = 6 "too_many_streams",
    /// Nothing was heard for too long, or a frame came too slowly.
    TOO_SLOW = 7 "too_slow",
    /// The certificate names no host, or one that may not connect.
    NOT_ALLOWED = 8 "not_allowed",
    /// The certificate was revoked.
    REVOKED = 9 "revoked",
    /// The same host opened a newer connection.
    REPLACED = 10 "replaced",
    /// Too many batches were refused.
    REJECTED = 11 "rejected",
    /// The other side answered with a digest that does not follow from what was sent.
    DIGEST = 12 "digest",
    /// The other side cannot serve now; try another, or later.
    BUSY = 13 "busy",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            "other" => write!(f, "code {}", self.0),
            name => f.write_str(name),
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({self})")
    }
}

/// Why a collector refused a batch for good. The watermark passes it all the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum RejectReason {
    /// The header cannot be read, or contradicts the frame or the stream it came in.
    Header,
    /// A part of the payload cannot be decompressed or read.
    Payload,
    /// It holds more than a batch may: events, strings, decompressed bytes.
    Limit,
    /// It can be read, but the store cannot take it.
    Store,
}

impl RejectReason {
    /// A short name, also the label of metrics.
    pub const fn name(self) -> &'static str {
        match self {
            RejectReason::Header => "header",
            RejectReason::Payload => "payload",
            RejectReason::Limit => "limit",
            RejectReason::Store => "store",
        }
    }
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
