//! What is said on a connection between a sensor and a collector.
//!
//! ALPN `vedette/1`. The sensor opens one bidirectional stream, the control stream, and at most four
//! unidirectional data streams, one for each (epoch, lane) it is sending. Every stream is a
//! sequence of frames:
//!
//! ```text
//! type   u16, little endian
//! length u32, little endian: bytes of the body, at most the type's own bound
//! body   postcard
//! ```
//!
//! - A released type's body never changes: what needs more gets a new type.
//! - A type that a reader does not know closes the connection, unless its highest bit
//!   ([`SKIPPABLE`]) is set: then the reader skips it.
//! - Types are per direction and per kind of stream: [`FromSensor`], [`FromCollector`] on the control
//!   stream, [`Data`] on data streams. A rule sent upwards is an unknown type.
//! - A body that is longer than what it says is as wrong as one that is shorter.
//!
//! Order on the control stream: `Hello`, answered by `Welcome`; then any. On a data stream: `Open`,
//! then batches and tombstones whose sequence numbers follow each other without gaps.

pub mod close;
pub mod collector;
pub mod data;
mod decode;
mod encode;
pub mod sensor;

pub use close::{Code, RejectReason};
pub use collector::FromCollector;
pub use data::Data;
pub use decode::{Decoder, FrameError, Pending};
pub use encode::encode;
pub use sensor::FromSensor;

/// The ALPN protocol name of this framing.
pub const ALPN: &[u8] = b"vedette/1";
/// The version of the session's rules that this build speaks, for [`sensor::Hello::versions`].
pub const VERSION: u16 = 1;
/// Bytes before a frame's body.
pub const HEADER_BYTES: usize = 6;
/// Set in the type of a frame that a reader may skip when it does not know it.
pub const SKIPPABLE: u16 = 0x8000;
/// The largest body of a frame on a control stream (and of an unknown one), in bytes.
pub const MAX_CONTROL_BYTES: u32 = 64 << 10;
/// The most data streams a sensor has open at a time: two live lanes and two that drain.
pub const MAX_DATA_STREAMS: usize = 4;
/// The most streams named in a `Hello` and in the `Welcome` that answers it.
pub const MAX_STREAMS_NAMED: usize = 64;

/// Frames of one direction and one kind of stream.
pub trait Frame: Sized {
    /// The largest body of this type, in bytes; `None` for a type this kind of stream does not know.
    fn max_bytes(ty: u16) -> Option<u32>;

    /// Reads a body of a known type.
    ///
    /// # Errors
    /// When the body is not exactly one value of this type, or a field is out of its bounds.
    fn parse(ty: u16, body: &bytes::Bytes) -> Result<Self, FrameError>;

    /// Its type, and its body appended to `out`.
    fn write(&self, out: &mut Vec<u8>) -> u16;
}

macro_rules! control_frames {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident($body:ty) = $ty:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$vdoc])* $variant($body),)*
        }

        impl $crate::frame::Frame for $name {
            fn max_bytes(ty: u16) -> Option<u32> {
                match ty {
                    $($ty => Some($crate::frame::MAX_CONTROL_BYTES),)*
                    _ => None,
                }
            }

            fn parse(ty: u16, body: &bytes::Bytes) -> Result<Self, $crate::frame::FrameError> {
                match ty {
                    $($ty => {
                        let body: $body = $crate::frame::decode::exact(ty, body)?;
                        body.check().map_err(|what| $crate::frame::FrameError::OutOfBounds { ty, what })?;
                        Ok(Self::$variant(body))
                    })*
                    _ => Err($crate::frame::FrameError::UnknownType { ty }),
                }
            }

            fn write(&self, out: &mut Vec<u8>) -> u16 {
                match self {
                    $(Self::$variant(body) => {
                        $crate::frame::encode::body(body, out);
                        $ty
                    })*
                }
            }
        }

        $(impl From<$body> for $name {
            fn from(body: $body) -> Self {
                Self::$variant(body)
            }
        })*
    };
}
pub(crate) use control_frames;

#[cfg(test)]
mod tests;
