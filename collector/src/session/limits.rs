//! What one session may do.

use std::time::Duration;

use wire::frame::collector::Credit;
use wire::limits::MAX_FRAME_BYTES;

use super::rate::Rate;

/// The bounds of one session. The defaults suit a sensor that behaves, with room.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long the first frame of a stream may take to come.
    pub first_frame: Duration,
    /// How often sensors send a heartbeat.
    pub heartbeat: Duration,
    /// How long a session may say nothing.
    pub idle: Duration,
    /// What may be in flight.
    pub window: Credit,
    /// The largest batch, in bytes.
    pub max_batch_bytes: u32,
    /// Frames on the control stream.
    pub control_frames: Rate,
    /// Data streams opened.
    pub data_streams: Rate,
    /// Refused batches after which the session ends.
    pub max_rejected: u32,
    /// How long to wait when the store gives no answer.
    pub retry: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            first_frame: Duration::from_secs(15),
            heartbeat: Duration::from_secs(3),
            // Many heartbeats: a session that nobody needs costs less than a handshake.
            idle: Duration::from_secs(30),
            window: Credit { bytes: 4 << 20, batches: 256 },
            // The frame's own fields take a few bytes of its bound.
            max_batch_bytes: MAX_FRAME_BYTES - 64,
            control_frames: Rate { burst: 60, per_second: 10 },
            data_streams: Rate { burst: 32, per_second: 4 },
            max_rejected: 32,
            retry: Duration::from_secs(1),
        }
    }
}
