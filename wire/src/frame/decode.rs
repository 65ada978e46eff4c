//! Bytes into frames, as they come.

use std::marker::PhantomData;

use bytes::{Buf, Bytes, BytesMut};
use serde::Deserialize;

use super::{Frame, HEADER_BYTES, MAX_CONTROL_BYTES, SKIPPABLE};

/// Why a stream of frames cannot be read on. There is no way to go on after any of these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A type that this kind of stream does not have.
    #[error("unknown frame type {ty:#06x}")]
    UnknownType {
        /// The type found.
        ty: u16,
    },
    /// A length above the type's bound.
    #[error("frame type {ty:#06x} of {length} bytes, expected at most {max}")]
    TooLong {
        /// The type.
        ty: u16,
        /// What the header claims.
        length: u32,
        /// The bound.
        max: u32,
    },
    /// A body that is not one value of its type.
    #[error("frame type {ty:#06x} whose body cannot be read")]
    Body {
        /// The type.
        ty: u16,
    },
    /// Bytes after the body's value.
    #[error("frame type {ty:#06x} with {extra} bytes after its body")]
    Trailing {
        /// The type.
        ty: u16,
        /// How many bytes are too many.
        extra: usize,
    },
    /// A field outside its bounds.
    #[error("frame type {ty:#06x} with {what}")]
    OutOfBounds {
        /// The type.
        ty: u16,
        /// What was found.
        what: &'static str,
    },
}

/// Takes a stream's bytes in pieces of any size and gives its frames.
///
/// Never holds more than what was pushed and not yet taken: nothing is allocated from a claimed
/// length. A length above the bound is refused when its header is complete.
#[derive(Debug)]
pub struct Decoder<F> {
    held: BytesMut,
    /// Bytes still to skip of a skippable frame.
    skip: usize,
    frames: PhantomData<fn() -> F>,
}

/// A frame that has begun and is not complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pending {
    /// Bytes of it here, its header included.
    pub received: usize,
    /// Bytes of it in all, as far as known.
    pub expected: usize,
}

impl<F> Default for Decoder<F> {
    fn default() -> Self {
        Self { held: BytesMut::new(), skip: 0, frames: PhantomData }
    }
}

impl<F: Frame> Decoder<F> {
    /// Adds what came next.
    pub fn push(&mut self, mut bytes: &[u8]) {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        bytes = bytes.get(skipped..).unwrap_or_default();
        self.held.extend_from_slice(bytes);
    }

    /// The next complete frame, or `None` until more is pushed.
    ///
    /// # Errors
    /// When the bytes are not a stream of frames of this kind; the stream is of no use afterwards.
    pub fn next_frame(&mut self) -> Result<Option<F>, FrameError> {
        loop {
            let Some((ty, length)) = self.header() else { return Ok(None) };
            let max = F::max_bytes(ty).or((ty & SKIPPABLE != 0).then_some(MAX_CONTROL_BYTES));
            let max = max.ok_or(FrameError::UnknownType { ty })?;
            if length > max {
                return Err(FrameError::TooLong { ty, length, max });
            }
            let length = length as usize;
            if F::max_bytes(ty).is_none() {
                self.held.advance(HEADER_BYTES);
                let here = length.min(self.held.len());
                self.held.advance(here);
                self.skip = length - here;
                continue;
            }
            if self.held.len() < HEADER_BYTES + length {
                return Ok(None);
            }
            self.held.advance(HEADER_BYTES);
            let body = self.held.split_to(length).freeze();
            if self.held.is_empty() {
                // The body's allocation must not be kept alive by an idle decoder.
                self.held = BytesMut::new();
            }
            return F::parse(ty, &body).map(Some);
        }
    }

    /// The frame that has begun, if one has: what a minimum rate is measured on.
    pub fn pending(&self) -> Option<Pending> {
        if self.skip > 0 {
            return Some(Pending { received: 0, expected: self.skip });
        }
        if self.held.is_empty() {
            return None;
        }
        let body = self.header().map_or(0, |(_, length)| length as usize);
        Some(Pending { received: self.held.len(), expected: HEADER_BYTES + body })
    }

    #[cfg(test)]
    pub(super) fn n_reserved(&self) -> usize {
        self.held.capacity()
    }

    fn header(&self) -> Option<(u16, u32)> {
        let (ty, rest) = self.held.split_first_chunk::<2>()?;
        let (length, _) = rest.split_first_chunk::<4>()?;
        Some((u16::from_le_bytes(*ty), u32::from_le_bytes(*length)))
    }
}

/// Reads a body that must be exactly one value.
pub(super) fn exact<'a, T: Deserialize<'a>>(ty: u16, body: &'a Bytes) -> Result<T, FrameError> {
    let (value, rest) = postcard::take_from_bytes(body).map_err(|_| FrameError::Body { ty })?;
    if rest.is_empty() { Ok(value) } else { Err(FrameError::Trailing { ty, extra: rest.len() }) }
}
