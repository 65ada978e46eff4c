//! The header's bytes: a version (1), then a postcard record.
//!
//! Times and sequence stand as in [`Header`] except that the three moments are written as the
//! earliest and what the others are after it, and an all-zero collection digest as one byte.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{BatchError, Header};
use crate::id::{BootId, Epoch, Lane};
use crate::ledger::Ledger;
use crate::limits::MAX_EVENTS_PER_BATCH;
use crate::time::{BootTime, Clock};

const VERSION: u8 = 1;
const PART: &str = "header";

#[derive(Serialize, Deserialize)]
struct Written {
    epoch: Epoch,
    lane: Lane,
    first_seq: u64,
    n_events: u32,
    boot: BootId,
    earliest: u64,
    latest_after: u64,
    sealed_after: i64,
    boot_to_wall_ns: i64,
    offset_ns: i64,
    uncertainty_ns: Option<u64>,
    ledger: Ledger,
    collection: Option<[u8; 16]>,
}

impl Header {
    /// Its bytes, as they are shipped, stored and hashed.
    pub fn encode(&self) -> Bytes {
        let written = Written {
            epoch: self.epoch,
            lane: self.lane,
            first_seq: self.first_seq,
            n_events: self.n_events,
            boot: self.boot,
            earliest: self.earliest.ns(),
            latest_after: self.latest.ns().wrapping_sub(self.earliest.ns()),
            sealed_after: self.sealed.ns().wrapping_sub(self.earliest.ns()) as i64,
            boot_to_wall_ns: self.clock.boot_to_wall_ns,
            offset_ns: self.clock.offset_ns,
            uncertainty_ns: Some(self.clock.uncertainty_ns).filter(|&ns| ns != u64::MAX),
            ledger: self.ledger,
            collection: Some(self.collection).filter(|digest| *digest != [0; 16]),
        };
        let bytes = postcard::to_extend(&written, vec![VERSION]);
        bytes.expect("a record of numbers can always be encoded").into()
    }

    /// Reads what [`Header::encode`] wrote.
    ///
    /// # Errors
    /// [`BatchError::HeaderVersion`] for a newer sender's, [`BatchError::Malformed`] for any other
    /// bytes, [`BatchError::Limit`] for too many events.
    pub fn decode(bytes: &[u8]) -> Result<Self, BatchError> {
        let malformed = |reason| BatchError::Malformed { part: PART, reason };
        let rest = match bytes.split_first() {
            Some((&VERSION, rest)) => rest,
            Some((&found, _)) => return Err(BatchError::HeaderVersion { found }),
            None => return Err(malformed("it is empty")),
        };
        let (written, after): (Written, _) =
            postcard::take_from_bytes(rest).map_err(|_| malformed("it is not the record expected"))?;
        if !after.is_empty() {
            return Err(malformed("bytes follow its end"));
        }
        super::error::bounded("number of events", u64::from(written.n_events), MAX_EVENTS_PER_BATCH)?;
        if written.first_seq.checked_add(u64::from(written.n_events)).is_none() {
            return Err(malformed("its sequence numbers pass the last there is"));
        }
        Ok(Self {
            epoch: written.epoch,
            lane: written.lane,
            first_seq: written.first_seq,
            n_events: written.n_events,
            boot: written.boot,
            earliest: BootTime::from_ns(written.earliest),
            latest: BootTime::from_ns(written.earliest.wrapping_add(written.latest_after)),
            sealed: BootTime::from_ns(written.earliest.wrapping_add(written.sealed_after as u64)),
            clock: Clock {
                boot_to_wall_ns: written.boot_to_wall_ns,
                offset_ns: written.offset_ns,
                uncertainty_ns: written.uncertainty_ns.unwrap_or(u64::MAX),
            },
            ledger: written.ledger,
            collection: written.collection.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn header() -> Header {
        Header {
            epoch: Epoch::new(Uuid::from_u128(1)),
            lane: Lane::Bulk,
            first_seq: 1 << 40,
            n_events: 3,
            boot: BootId::new(Uuid::from_u128(2)),
            earliest: BootTime::from_ns(50),
            latest: BootTime::from_ns(u64::MAX),
            sealed: BootTime::from_ns(7),
            clock: Clock { boot_to_wall_ns: -1, offset_ns: i64::MIN, uncertainty_ns: u64::MAX },
            ledger: Ledger { generated: 9, merged: 1, lost: 2, dropped: 3 },
            collection: [7; 16],
        }
    }

    #[test]
    fn a_header_survives_a_round_trip() {
        assert_eq!(Header::decode(&header().encode()), Ok(header()));
        let plain = Header { collection: [0; 16], ..header() };
        assert_eq!(Header::decode(&plain.encode()), Ok(plain));
    }

    #[test]
    fn other_bytes_are_refused() {
        let bytes = header().encode();
        for end in 0..bytes.len() {
            assert!(Header::decode(bytes.get(..end).unwrap_or_default()).is_err(), "cut at {end}");
        }
        assert!(Header::decode(&[&bytes[..], b"x"].concat()).is_err());
        assert_eq!(Header::decode(&[9]), Err(BatchError::HeaderVersion { found: 9 }));
        let numbers = Header { first_seq: u64::MAX - 1, ..header() };
        assert!(Header::decode(&numbers.encode()).is_err());
        let many = Header { n_events: MAX_EVENTS_PER_BATCH + 1, ..header() };
        assert!(matches!(Header::decode(&many.encode()), Err(BatchError::Limit { .. })));
    }
}
