//! Frames into bytes.

use serde::Serialize;

use super::{Frame, HEADER_BYTES};

/// A frame as it goes onto its stream: header and body.
///
/// # Panics
/// When the body is longer than its type's bound, or than `u32::MAX`: what is sent is made here, so
/// that is a bug of the caller.
pub fn encode<F: Frame>(frame: &F) -> Vec<u8> {
    let mut out = vec![0; HEADER_BYTES];
    let ty = frame.write(&mut out);
    let length = u32::try_from(out.len() - HEADER_BYTES).expect("a body shorter than 4 GiB");
    assert!(F::max_bytes(ty).is_some_and(|max| length <= max), "frame {ty:#06x} of {length} bytes");
    let [t0, t1] = ty.to_le_bytes();
    let [l0, l1, l2, l3] = length.to_le_bytes();
    for (slot, byte) in out.iter_mut().zip([t0, t1, l0, l1, l2, l3]) {
        *slot = byte;
    }
    out
}

/// Appends one postcard value.
pub(super) fn body<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    struct Append<'a>(&'a mut Vec<u8>);
    impl postcard::ser_flavors::Flavor for Append<'_> {
        type Output = ();
        fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
            self.0.push(byte);
            Ok(())
        }
        fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
            self.0.extend_from_slice(bytes);
            Ok(())
        }
        fn finalize(self) -> postcard::Result<()> {
            Ok(())
        }
    }
    postcard::serialize_with_flavor(value, Append(out)).expect("a vector takes every byte");
}
