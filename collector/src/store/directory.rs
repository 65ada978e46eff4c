//! What lies where in a segment: the batches side by side in its payload, and the header and the terms of each.
//!
//! A directory is one byte, the form (1), then one zstd frame of a postcard record of columns, one number for each
//! batch ([`written`]), and of each term's batches ([`postings`]). Headers are here and not in the segment's payload, as
//! those of neighbours differ in little: what comes back is byte for byte what was sealed.

use std::cell::RefCell;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use wire::batch::PartSpans;
use wire::id::{HostId, StreamId};

use super::{Stamp, StoreError};

mod head;
mod postings;
mod written;

pub use head::Head;

const FORM: u8 = 1;
const LEVEL: i32 = 3;
/// The most a directory unpacks to: far beyond what a commit takes.
const MAX_BYTES: usize = 256 << 20;

/// One batch within a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The stream it belongs to.
    pub stream: StreamId,
    /// The number of its first event.
    pub first_seq: u64,
    /// How many events it has.
    pub n_events: u32,
    /// When the collector received it (`event.ingested`).
    pub received: Stamp,
    /// The earliest and the latest indexed time of its events, rounded outwards.
    pub earliest: Stamp,
    /// See `earliest`.
    pub latest: Stamp,
    /// Its header.
    pub head: Head,
    /// Where its payload starts in the segment's payload.
    pub offset: u32,
    /// The length of its payload, in bytes.
    pub payload_len: u32,
    /// Where the parts of its payload end; `None` where it is one frame, which is read whole.
    pub ends: Option<PartEnds>,
    /// Its terms, as positions in the segment's `terms`, ascending; empty where it is the only batch and has all.
    pub terms: Vec<u16>,
}

/// Where the parts of a payload end, from its start: each is read with all that stands before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartEnds {
    /// The batch's own directory, which says where its columns are.
    pub directory: u32,
    /// Its strings.
    pub strings: u32,
    /// Kind, time and subject of its events.
    pub events: u32,
    /// Its subject table.
    pub subjects: u32,
}

impl PartEnds {
    /// Those of a batch whose payload is this long.
    pub fn of(spans: &PartSpans, payload_len: u32) -> Option<Self> {
        let ends = Self {
            directory: spans.directory.end,
            strings: spans.strings.end,
            events: spans.events.end,
            subjects: spans.subjects.end,
        };
        (ends.directory < payload_len).then_some(ends)
    }
}

/// The term that stands for a host, in fresh segments only: elsewhere the host is a column.
pub fn host_term(host: HostId) -> i64 {
    let mut out = [0; 8];
    blake3::Hasher::new().update(b"host").update(host.uuid().as_bytes()).finalize_xof().fill(&mut out);
    i64::from_le_bytes(out)
}

impl Entry {
    /// Where its payload lies in the segment's.
    pub fn range(&self) -> Range<u32> {
        self.offset..self.offset.saturating_add(self.payload_len)
    }
}

/// The bytes of a directory.
pub fn encode(entries: &[Entry]) -> Vec<u8> {
    // Writing plain data into growing vectors cannot fail.
    let plain = postcard::to_stdvec(&written::Columns::of(entries)).unwrap_or_default();
    let packed = zstd::bulk::compress(&plain, LEVEL).unwrap_or_default();
    [&[FORM][..], &packed].concat()
}

/// The entries of segment `id`'s directory, in the order of their offsets.
///
/// # Errors
/// When the bytes are of another form, or damaged.
pub fn decode(id: uuid::Uuid, bytes: &[u8]) -> Result<Vec<Entry>, StoreError> {
    let bad = |what| StoreError::Directory { id, what };
    let packed = match bytes.split_first() {
        Some((&FORM, packed)) => packed,
        Some(_) => return Err(bad("of an unknown form")),
        None => return Err(bad("empty")),
    };
    let size = zstd::zstd_safe::get_frame_content_size(packed).ok().flatten();
    let size = size.and_then(|size| usize::try_from(size).ok()).filter(|size| *size <= MAX_BYTES);
    let plain = unpack(packed, size.ok_or_else(|| bad("too large"))?);
    let plain = plain.ok_or_else(|| bad("damaged"))?;
    let columns: written::Columns = postcard::from_bytes(&plain).map_err(|_| bad("damaged"))?;
    columns.entries().ok_or_else(|| bad("damaged"))
}

/// Unpacks one frame. A search unpacks thousands, and making a context costs more than most of them.
fn unpack(packed: &[u8], size: usize) -> Option<Vec<u8>> {
    thread_local! {
        static CONTEXT: RefCell<zstd::zstd_safe::DCtx<'static>> = RefCell::new(zstd::zstd_safe::DCtx::create());
    }
    let mut plain = Vec::with_capacity(size);
    CONTEXT.with_borrow_mut(|context| context.decompress(&mut plain, packed)).ok()?;
    (plain.len() == size).then_some(plain)
}

/// Terms of several batches on their way into one segment: distinct, and each batch's as positions.
#[derive(Default, Debug)]
pub struct TermTable {
    terms: Vec<i64>,
}

impl TermTable {
    /// The most distinct terms a segment can have: positions are two bytes.
    pub const MAX_TERMS: usize = 1 << 16;

    /// The distinct terms of all these batches, ascending.
    pub fn new<'a>(batches: impl Iterator<Item = &'a [i64]>) -> Self {
        let mut terms: Vec<i64> = batches.flatten().copied().collect();
        terms.sort_unstable();
        terms.dedup();
        Self { terms }
    }

    /// The distinct terms, ascending.
    pub fn terms(&self) -> &[i64] {
        &self.terms
    }

    /// Where these terms are in [`Self::terms`], ascending. Terms beyond the first 65,536 are left out.
    pub fn positions(&self, batch: &[i64]) -> Vec<u16> {
        let mut at: Vec<u16> =
            batch.iter().filter_map(|t| u16::try_from(self.terms.binary_search(t).ok()?).ok()).collect();
        at.sort_unstable();
        at.dedup();
        at
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::indexing_slicing, reason = "tests")]
    use bytes::Bytes;
    use uuid::Uuid;
    use wire::batch::Header;
    use wire::id::{BootId, Epoch, Lane};
    use wire::ledger::Ledger;
    use wire::time::{BootTime, Clock};

    use super::*;

    fn header(n: u64) -> Header {
        Header {
            epoch: Epoch::new(Uuid::from_u128(8)),
            lane: Lane::Bulk,
            first_seq: n * 20,
            n_events: 20,
            boot: BootId::new(Uuid::from_u128(9)),
            earliest: BootTime::from_ns(5_000_000_000 * n + n * n),
            latest: BootTime::from_ns(5_000_000_000 * n + 812_345_678),
            sealed: BootTime::from_ns(5_000_000_000 * n + 900_000_000),
            clock: Clock { boot_to_wall_ns: 1_790_000_000_123_456_789, offset_ns: -5, uncertainty_ns: 77 },
            ledger: Ledger { generated: n * 20 + 20, ..Ledger::default() },
            collection: [0; 16],
        }
    }

    fn entries() -> Vec<Entry> {
        let entry = |n: u32| {
            let header = header(u64::from(n));
            let time = |at| header.clock.timestamp(at);
            Entry {
                stream: StreamId {
                    host: HostId::new(Uuid::from_u128(7)),
                    epoch: header.epoch,
                    lane: header.lane,
                },
                first_seq: header.first_seq,
                n_events: header.n_events,
                received: Stamp::from_unix_us(1_795_254_047_123_456 + i64::from(n)),
                earliest: Stamp::floor(time(header.earliest)),
                latest: Stamp::ceil(time(header.latest)),
                head: Head::of(&header.encode()),
                offset: n * 930,
                payload_len: 930,
                ends: (n == 3).then_some(PartEnds { directory: 1, strings: 2, events: 3, subjects: 4 }),
                terms: vec![0, 1, 5, 300, u16::MAX],
            }
        };
        (0..60).map(entry).collect()
    }

    fn check(entries: &[Entry]) -> usize {
        let bytes = encode(entries);
        assert_eq!(decode(Uuid::nil(), &bytes).expect("it was just written"), entries);
        bytes.len()
    }

    #[test]
    fn a_directory_comes_back_and_is_small() {
        let n = check(&entries());
        assert!(n < 60 * 12, "{n} bytes");
        check(&[]);
    }

    #[test]
    fn what_is_odd_comes_back_too() {
        let mut odd = entries();
        // Another host, another epoch, a clock a year off, and a header that no version wrote.
        odd[7].stream.host = HostId::new(Uuid::from_u128(70));
        odd[7].earliest = Stamp::from_unix_us(5);
        let strange = Header { epoch: Epoch::new(Uuid::from_u128(80)), ..header(1 << 28) };
        odd[8].stream.epoch = strange.epoch;
        odd[8].first_seq = strange.first_seq;
        odd[8].head = Head::of(&strange.encode());
        odd[9].head = Head::of(&Bytes::from_static(b"\x09 a newer header"));
        odd[10].n_events = 21;
        odd[10].head = Head::Other(odd[10].head.bytes());
        check(&odd);
        assert_eq!(odd[9].head.bytes(), b"\x09 a newer header"[..]);
    }

    #[test]
    fn a_header_comes_back_byte_for_byte() {
        let sealed = header(3).encode();
        assert!(matches!(Head::of(&sealed), Head::Known(_)));
        assert_eq!(Head::of(&sealed).bytes(), sealed);
        // The same numbers, but one in more bytes than it needs.
        let mut longer = sealed.to_vec();
        let at = longer.iter().position(|byte| *byte == 77 * 2 || *byte == 77).expect("the uncertainty");
        longer.splice(at..=at, [longer[at] | 0x80, 0]);
        let longer = Bytes::from(longer);
        assert_eq!(Head::of(&longer).bytes(), longer);
    }

    #[test]
    fn damage_is_an_error() {
        let bytes = encode(&entries());
        for cut in 0..bytes.len() {
            assert!(decode(Uuid::nil(), bytes.get(..cut).unwrap_or_default()).is_err());
        }
        assert!(decode(Uuid::nil(), &[2]).is_err());
    }
}
