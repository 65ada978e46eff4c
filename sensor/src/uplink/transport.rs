//! QUIC's own limits, as a sensor sets them.

use std::sync::Arc;
use std::time::Duration;

use quinn::{TransportConfig, VarInt};

/// How long nothing may be heard before the connection counts as dead. The session, which notices when it was we who
/// did not run, gives it up sooner; the collector says the same.
const IDLE: Duration = Duration::from_secs(60);

/// The collector opens no streams and sends no datagrams; its control frames are small.
pub(super) fn transport() -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(128 << 10))
        .receive_window(VarInt::from_u32(256 << 10))
        .send_window(1 << 20)
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(VarInt::from_u32(IDLE.as_millis() as u32).into()));
    Arc::new(config)
}
