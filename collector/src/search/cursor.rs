//! Where a search goes on: an opaque text that a caller hands back.
//!
//! Version, checksum and a postcard body, in URL-safe base64. It names the last event handed out, not a place in
//! the store, so nothing comes twice or is left out although batches move meanwhile. It also fixes what `now`,
//! `since` and `until` meant at first.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use wire::id::{EventId, StreamId};
use wire::time::WallTime;

use super::Position;

const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 4;
/// Ours have some 130.
const MAX_TEXT_BYTES: usize = 512;

/// What a cursor says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Of the query and the host asked for: a cursor belongs to one search.
    pub(super) fingerprint: [u8; 8],
    pub(super) now: WallTime,
    pub(super) since: WallTime,
    pub(super) until: WallTime,
    /// The last event handed out.
    pub(super) last: Position,
}

#[derive(Serialize, Deserialize)]
struct Body {
    fingerprint: [u8; 8],
    now: WallTime,
    since: WallTime,
    until: WallTime,
    time: WallTime,
    stream: StreamId,
    seq: u64,
}

/// The fingerprint of a search.
pub(super) fn fingerprint(query: &str, host: Option<&str>) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(query.len() as u64).to_le_bytes());
    hasher.update(query.as_bytes());
    hasher.update(&[u8::from(host.is_some())]);
    hasher.update(host.unwrap_or_default().as_bytes());
    let mut out = [0; 8];
    hasher.finalize_xof().fill(&mut out);
    out
}

impl Cursor {
    pub(super) fn encode(&self) -> String {
        let body = Body {
            fingerprint: self.fingerprint,
            now: self.now,
            since: self.since,
            until: self.until,
            time: self.last.time,
            stream: self.last.id.stream,
            seq: self.last.id.seq,
        };
        // Writing plain data into a growing vector cannot fail.
        let body = postcard::to_allocvec(&body).unwrap_or_default();
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&checksum(&body));
        bytes.extend_from_slice(&body);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// `None` for a text that is not a cursor of this version.
    pub(super) fn decode(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.as_bytes().get(..MAX_TEXT_BYTES.min(text.len()))?).ok()?;
        let (&version, rest) = bytes.split_first()?;
        let (sum, body) = rest.split_at_checked(CHECKSUM_BYTES)?;
        if version != VERSION || sum != checksum(body) {
            return None;
        }
        let Body { fingerprint, now, since, until, time, stream, seq } = postcard::from_bytes(body).ok()?;
        Some(Self { fingerprint, now, since, until, last: Position { time, id: EventId { stream, seq } } })
    }
}

fn checksum(body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut out = [0; CHECKSUM_BYTES];
    blake3::Hasher::new().update(body).finalize_xof().fill(&mut out);
    out
}

#[cfg(test)]
mod tests {
    #![expect(clippy::indexing_slicing, reason = "tests")]
    use uuid::Uuid;
    use wire::id::{Epoch, HostId, Lane};

    use super::*;

    fn cursor() -> Cursor {
        let stream = StreamId {
            host: HostId::new(Uuid::from_u128(1)),
            epoch: Epoch::new(Uuid::from_u128(2)),
            lane: Lane::Bulk,
        };
        Cursor {
            fingerprint: fingerprint("a", None),
            now: WallTime::from_unix_ns(5),
            since: WallTime::from_unix_ns(i64::MIN),
            until: WallTime::from_unix_ns(i64::MAX),
            last: Position { time: WallTime::from_unix_ns(-7), id: EventId { stream, seq: u64::MAX } },
        }
    }

    #[test]
    fn a_cursor_survives_a_round_trip() {
        assert_eq!(Cursor::decode(&cursor().encode()), Some(cursor()));
    }

    #[test]
    fn no_altered_cursor_is_taken() {
        let text = cursor().encode();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(bytes).expect("ASCII");
            assert!(Cursor::decode(&altered).is_none_or(|c| c == cursor()), "{altered}");
        }
        for wrong in ["", "A", "!!!", "äöü", &text[1..], &"A".repeat(10_000)] {
            assert_eq!(Cursor::decode(wrong), None);
        }
    }

    #[test]
    fn searches_are_told_apart() {
        assert_ne!(fingerprint("a", None), fingerprint("b", None));
        assert_ne!(fingerprint("a", None), fingerprint("a", Some("")));
        assert_ne!(fingerprint("a", Some("b")), fingerprint("ab", Some("")));
    }
}
