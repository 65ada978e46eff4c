//! Messages out of one direction of a TCP connection: each has its length before it (RFC 1035, 4.2.2).
//!
//! Pieces come as packets do: twice, in another order, or cut. Of a message only the beginning is kept, and what is missing
//! in its midst does no harm, as its length tells where the next one begins. Only when a length is missing is the rest of
//! the stream given up.

use super::message::{HEADER_BYTES, is_plausible};

/// So much of a message is kept.
pub(super) const HEAD_BYTES: usize = 4096;
/// Pieces, and bytes in them, that wait for those before them.
const MAX_WAITING: usize = 4;
const MAX_WAITING_BYTES: usize = 8192;
/// What lies further ahead is of no stream: anybody can send a packet with such a number.
const WINDOW: i32 = 1 << 20;

/// One direction of a connection.
#[derive(Debug)]
pub(super) struct Stream {
    is_answer: bool,
    /// The number of the first byte that has not come.
    next: u32,
    state: State,
    waiting: Vec<Piece>,
}

/// A message that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// It, or its beginning.
    pub(super) head: Vec<u8>,
    pub(super) end: End,
}

/// How a message that was found ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It is whole.
    Whole,
    /// The rest was not seen, or is not kept.
    Cut,
    /// It does not: it is none, or the rest was never sent.
    Never,
}

#[derive(Debug)]
enum State {
    /// Before a length, of which the first byte may have come.
    Length(Option<u8>),
    /// In a message.
    Message { len: usize, seen: usize, head: Vec<u8> },
    /// Given up, or no DNS.
    Over,
}

#[derive(Debug)]
struct Piece {
    at: u32,
    bytes: Vec<u8>,
    /// Its true length; what is more than `bytes` was not seen.
    len: u32,
}

impl Stream {
    /// A stream that is seen from this byte on, where a message is taken to begin.
    pub(super) fn new(at: u32, is_answer: bool) -> Self {
        Self { is_answer, next: at, state: State::Length(None), waiting: Vec::new() }
    }

    /// Takes the bytes from number `at` on, which are the beginning of `len` bytes. False: the stream had to be given up.
    pub(super) fn take(&mut self, at: u32, bytes: &[u8], len: u32, found: &mut Vec<Found>) -> bool {
        let ahead = at.wrapping_sub(self.next).cast_signed();
        if matches!(self.state, State::Over) || len == 0 || ahead.abs() > WINDOW {
            return true;
        }
        if ahead > 0 {
            let n_bytes: usize = self.waiting.iter().map(|piece| piece.bytes.len()).sum();
            if self.waiting.len() < MAX_WAITING && n_bytes + bytes.len() <= MAX_WAITING_BYTES {
                self.waiting.push(Piece { at, bytes: bytes.to_vec(), len });
                return true;
            }
            let goes_on = self.skip(found);
            // Nothing waits now, or less; what is still ahead has to be missed too.
            let ahead = at.wrapping_sub(self.next).cast_signed();
            return goes_on
                && (ahead <= 0 || self.miss(ahead as u32, found))
                && self.add(at, bytes, len, found);
        }
        self.add(at, bytes, len, found) && self.catch_up(found)
    }

    /// Gives up what is missing before the pieces that wait. False: and with it the stream.
    pub(super) fn skip(&mut self, found: &mut Vec<Found>) -> bool {
        while let Some(first) = self.waiting.iter().map(|piece| piece.at.wrapping_sub(self.next)).min() {
            if !(self.miss(first, found) && self.catch_up(found)) {
                return false;
            }
        }
        true
    }

    /// Ends the stream: what has come of a message is found.
    pub(super) fn finish(&mut self, found: &mut Vec<Found>) {
        self.skip(found);
        match std::mem::replace(&mut self.state, State::Over) {
            State::Message { head, .. } => found.push(Found { head, end: End::Never }),
            State::Length(Some(first)) => found.push(Found { head: vec![first], end: End::Never }),
            State::Length(None) | State::Over => {}
        }
    }

    /// Whether nothing is missing.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.state, State::Length(None) | State::Over) && self.waiting.is_empty()
    }

    /// Whether it waits for what was sent before something that has come.
    pub(super) fn has_gap(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes bytes that begin at the next one, or before it.
    fn add(&mut self, at: u32, bytes: &[u8], len: u32, found: &mut Vec<Found>) -> bool {
        let known = self.next.wrapping_sub(at);
        if known >= len {
            return true;
        }
        let new = bytes.get(known as usize..).unwrap_or_default();
        let n_unseen = len - known - new.len() as u32;
        self.read(new, found);
        n_unseen == 0 || self.miss(n_unseen, found)
    }

    /// Takes the pieces that waited for what has come now.
    fn catch_up(&mut self, found: &mut Vec<Found>) -> bool {
        while let Some(n) =
            self.waiting.iter().position(|piece| piece.at.wrapping_sub(self.next).cast_signed() <= 0)
        {
            let piece = self.waiting.swap_remove(n);
            if !self.add(piece.at, &piece.bytes, piece.len, found) {
                return false;
            }
        }
        true
    }

    fn read(&mut self, mut bytes: &[u8], found: &mut Vec<Found>) {
        self.next = self.next.wrapping_add(bytes.len() as u32);
        loop {
            match &mut self.state {
                State::Over => return,
                State::Length(first) => {
                    let Some((&byte, rest)) = bytes.split_first() else { return };
                    bytes = rest;
                    self.state = match *first {
                        None => State::Length(Some(byte)),
                        Some(first) => State::Message {
                            len: u16::from_be_bytes([first, byte]).into(),
                            seen: 0,
                            head: Vec::new(),
                        },
                    };
                }
                State::Message { len, seen, head } => {
                    let (new, rest) = bytes.split_at(bytes.len().min(*len - *seen));
                    bytes = rest;
                    let was_begun = head.len() >= HEADER_BYTES;
                    // What comes after a gap is no part of the beginning.
                    if head.len() == *seen {
                        head.extend_from_slice(new.get(..HEAD_BYTES - head.len()).unwrap_or(new));
                    }
                    *seen += new.len();
                    let is_begun = head.len() >= HEADER_BYTES;
                    if *len < HEADER_BYTES || (is_begun && !was_begun && !is_plausible(head, self.is_answer))
                    {
                        found.push(Found { head: std::mem::take(head), end: End::Never });
                        self.state = State::Over;
                    } else if *seen == *len {
                        self.close(found);
                    } else if bytes.is_empty() {
                        return;
                    }
                }
            }
        }
    }

    /// Goes over bytes that were not seen. False: where the next message begins is not known any more.
    fn miss(&mut self, n_bytes: u32, found: &mut Vec<Found>) -> bool {
        self.next = self.next.wrapping_add(n_bytes);
        match &mut self.state {
            State::Over => true,
            State::Message { len, seen, .. } if *len - *seen >= n_bytes as usize => {
                *seen += n_bytes as usize;
                if *seen == *len {
                    self.close(found);
                }
                true
            }
            _ => {
                self.close(found);
                self.state = State::Over;
                self.waiting.clear();
                false
            }
        }
    }

    /// The message in hand is over.
    fn close(&mut self, found: &mut Vec<Found>) {
        if let State::Message { len, head, .. } = std::mem::replace(&mut self.state, State::Length(None))
            && !head.is_empty()
        {
            let end = if head.len() == len { End::Whole } else { End::Cut };
            found.push(Found { head, end });
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A query's header and so many bytes more, with its length before it.
    fn framed(n_more: usize) -> Vec<u8> {
        let message = [&[0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &vec![7; n_more]].concat();
        [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], &message].concat()
    }

    struct Bench {
        stream: Stream,
        found: Vec<Found>,
    }

    impl Bench {
        fn new() -> Self {
            Self { stream: Stream::new(0, false), found: Vec::new() }
        }

        fn take(&mut self, at: usize, bytes: &[u8]) -> bool {
            self.stream.take(at as u32, bytes, bytes.len() as u32, &mut self.found)
        }

        fn lengths(&self) -> Vec<(usize, End)> {
            self.found.iter().map(|found| (found.head.len(), found.end)).collect()
        }
    }

    #[test]
    fn messages_are_found_however_they_are_cut() {
        let all = [framed(5), framed(0), framed(300)].concat();
        for size in [1, 2, 3, 7, 19, 100, 1000] {
            let mut bench = Bench::new();
            for (n, bytes) in all.chunks(size).enumerate() {
                assert!(bench.take(n * size, bytes));
                assert!(bench.take(n * size, bytes), "what comes twice does no harm");
            }
            assert_eq!(bench.lengths(), [(17, End::Whole), (12, End::Whole), (312, End::Whole)], "{size}");
            assert!(bench.stream.is_idle());
        }
    }

    #[test]
    fn pieces_wait_for_those_before_them() {
        let all = [framed(5), framed(50)].concat();
        let mut bench = Bench::new();
        for (at, end) in [(40, 60), (19, 25), (25, 40), (60, all.len()), (0, 30)] {
            assert!(bench.found.is_empty());
            assert!(bench.take(at, &all[at..end]));
        }
        assert_eq!(bench.lengths(), [(17, End::Whole), (62, End::Whole)]);
    }

    #[test]
    fn what_is_missing_in_a_message_costs_its_rest_only() {
        let all = [framed(1000), framed(5)].concat();
        let mut bench = Bench::new();
        bench.take(0, &all[..100]);
        bench.take(200, &all[200..]);
        assert!(bench.stream.has_gap());
        assert!(bench.stream.skip(&mut bench.found));
        assert_eq!(bench.lengths(), [(98, End::Cut), (17, End::Whole)]);
    }

    #[test]
    fn a_missing_length_ends_the_stream() {
        let all = [framed(100), framed(5)].concat();
        let mut bench = Bench::new();
        bench.take(0, &all[..50]);
        bench.take(120, &all[120..]);
        assert!(!bench.stream.skip(&mut bench.found));
        assert_eq!(bench.lengths(), [(48, End::Cut)]);
        assert!(bench.take(all.len(), &framed(5)), "it is given up once");
        assert_eq!(bench.found.len(), 1);
    }

    #[test]
    fn of_a_large_message_the_beginning_is_kept() {
        let all = [framed(65535 - 12), framed(5)].concat();
        let mut bench = Bench::new();
        assert!(bench.take(0, &all[..60000]));
        assert!(
            bench.stream.take(60000, &all[60000..60001], 5537, &mut bench.found),
            "the rest was not copied"
        );
        assert!(bench.take(65537, &all[65537..]));
        assert_eq!(bench.lengths(), [(HEAD_BYTES, End::Cut), (17, End::Whole)]);
    }

    #[test]
    fn what_is_no_dns_is_found_once_and_at_once() {
        for bytes in [&b"SSH-2.0-OpenSSH_9.2p1\r\n"[..], b"\0\0", b"\0\x03abc", &framed(0).repeat(2)[2..]] {
            let mut bench = Bench::new();
            bench.take(0, bytes);
            if bench.found.is_empty() {
                bench.stream.finish(&mut bench.found);
            }
            assert_eq!(bench.found.len(), 1, "{}", bytes.escape_ascii());
            assert_eq!(bench.found[0].end, End::Never);
            bench.take(bytes.len(), b"more");
            bench.stream.finish(&mut bench.found);
            assert_eq!(bench.found.len(), 1);
        }
    }

    #[test]
    fn a_number_from_elsewhere_is_of_no_stream() {
        let mut bench = Bench::new();
        assert!(bench.take(5_000_000, b"forged"));
        assert!(bench.take(0, &framed(5)));
        assert_eq!(bench.lengths(), [(17, End::Whole)]);
        assert!(!bench.stream.has_gap());
    }

    proptest! {
        #[test]
        fn no_stream_panics_or_grows(
            pieces in proptest::collection::vec((any::<u16>(), proptest::collection::vec(any::<u8>(), 0..300), 0u32..70_000), 0..60),
            start in any::<u32>(),
        ) {
            let mut stream = Stream::new(start, false);
            let mut found = Vec::new();
            for (at, bytes, more) in pieces {
                let at = start.wrapping_add(u32::from(at) % 2000);
                stream.take(at, &bytes, bytes.len() as u32 + more % 3 * more, &mut found);
                let waiting: usize = stream.waiting.iter().map(|piece| piece.bytes.len()).sum();
                prop_assert!(waiting <= MAX_WAITING_BYTES && stream.waiting.len() <= MAX_WAITING);
            }
            stream.finish(&mut found);
            prop_assert!(stream.is_idle());
            prop_assert!(found.iter().all(|found| found.head.len() <= HEAD_BYTES));
        }
    }
}
