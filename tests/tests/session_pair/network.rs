//! One connection: ordered bytes on each stream, no order between streams.

use std::collections::{BTreeMap, VecDeque};

use rand::Rng;
use rand::rngs::StdRng;
use wire::frame::{Decoder, Frame, encode};

/// Bytes on their way in one direction of one stream.
pub(crate) struct Pipe<F> {
    bytes: VecDeque<u8>,
    decoder: Decoder<F>,
    is_finished: bool,
}

impl<F: Frame> Pipe<F> {
    pub(crate) fn new() -> Self {
        Self { bytes: VecDeque::new(), decoder: Decoder::default(), is_finished: false }
    }

    pub(crate) fn write(&mut self, frame: &F) {
        assert!(!self.is_finished, "a frame after the end of a data stream");
        self.bytes.extend(encode(frame));
    }

    pub(crate) fn finish(&mut self) {
        self.is_finished = true;
    }

    /// Some of the bytes arrive; gives the frames they complete.
    pub(crate) fn arrive(&mut self, rng: &mut StdRng) -> Vec<F> {
        let n = rng.random_range(0..=self.bytes.len());
        self.take(n)
    }

    /// All of the bytes arrive.
    pub(crate) fn arrive_all(&mut self) -> Vec<F> {
        self.take(self.bytes.len())
    }

    fn take(&mut self, n_bytes: usize) -> Vec<F> {
        let bytes: Vec<u8> = self.bytes.drain(..n_bytes).collect();
        self.decoder.push(&bytes);
        std::iter::from_fn(|| self.decoder.next_frame().expect("our own frames can be read")).collect()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.is_finished && self.bytes.is_empty()
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// The data streams of a connection that have begun and not ended, by number.
pub(crate) type Wires<F> = BTreeMap<u64, Pipe<F>>;
