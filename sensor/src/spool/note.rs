//! What is noted on the disk of an epoch, so that a start after a power cut knows what is in doubt.
//!
//! ```text
//! magic      "VDN1"
//! boot       16 bytes: the boot that it ran in
//! noted      i64: the wall clock, in ns since 1970
//! closed     u8: 1 if the sensor had stopped and nothing was left in memory alone
//! durable    u64 per lane, critical first: all below it is on this disk, or was acknowledged
//! positions  what the sealed batches up to there reach to in the kernel's numbering; the rest of the file
//! checksum   blake3 of the epoch and all of the above; 32 bytes
//! ```
//! Numbers are little endian.

use bytes::Buf as _;
use uuid::Uuid;
use wire::id::{BootId, Epoch, Lane};
use wire::time::WallTime;

const MAGIC: &[u8; 4] = b"VDN1";
const CHECKSUM_BYTES: usize = 32;

/// What was durable of an epoch at some moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// Which epoch.
    pub epoch: Epoch,
    /// The boot it ran in.
    pub boot: BootId,
    /// When this was noted.
    pub noted: WallTime,
    /// Whether nothing was left that is not durable, and nothing came after.
    pub closed: bool,
    /// All events of the lane below this number were on the disk, or acknowledged; by [`Lane::ALL`].
    pub durable: [u64; 2],
    /// How far the batches up to there reach in the kernel's numbering, as whoever seals wrote it.
    pub positions: Vec<u8>,
}

impl Note {
    /// How far a lane is durable.
    pub fn durable(&self, lane: Lane) -> u64 {
        Lane::ALL.into_iter().zip(self.durable).find(|(of, _)| *of == lane).map_or(0, |(_, end)| end)
    }
}

pub(super) fn encode(note: &Note) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(note.boot.uuid().as_bytes());
    out.extend_from_slice(&note.noted.unix_ns().to_le_bytes());
    out.push(u8::from(note.closed));
    note.durable.iter().for_each(|end| out.extend_from_slice(&end.to_le_bytes()));
    out.extend_from_slice(&note.positions);
    let sum = checksum(note.epoch, &out);
    out.extend_from_slice(&sum);
    out
}

/// The note of this epoch; `None` if it is not what was written.
pub(super) fn decode(epoch: Epoch, bytes: &[u8]) -> Option<Note> {
    let (body, sum) = bytes.split_last_chunk::<CHECKSUM_BYTES>()?;
    let mut rest = body.strip_prefix(MAGIC).filter(|_| checksum(epoch, body) == *sum)?;
    let boot = BootId::new(Uuid::from_bytes(*rest.split_off(..16)?.first_chunk()?));
    let noted = WallTime::from_unix_ns(rest.try_get_i64_le().ok()?);
    let closed = rest.try_get_u8().ok()? == 1;
    let durable = [rest.try_get_u64_le().ok()?, rest.try_get_u64_le().ok()?];
    Some(Note { epoch, boot, noted, closed, durable, positions: rest.to_vec() })
}

fn checksum(epoch: Epoch, body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(epoch.uuid().as_bytes());
    hasher.update(body);
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn only_an_intact_note_of_its_epoch_is_believed() {
        let epoch = Epoch::new(Uuid::from_u128(1));
        let note = Note {
            epoch,
            boot: BootId::new(Uuid::from_u128(2)),
            noted: WallTime::from_unix_ns(-3),
            closed: true,
            durable: [4, u64::MAX],
            positions: vec![1, 2, 3],
        };
        let bytes = encode(&note);
        assert_eq!(decode(epoch, &bytes), Some(note.clone()));
        assert_eq!((note.durable(Lane::Critical), note.durable(Lane::Bulk)), (4, u64::MAX));
        assert_eq!(decode(Epoch::new(Uuid::from_u128(9)), &bytes), None);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            *damaged.get_mut(at).unwrap() ^= 1;
            assert_eq!(decode(epoch, &damaged), None, "byte {at}");
            assert_eq!(decode(epoch, bytes.get(..at).unwrap()), None, "{at} bytes");
        }
    }
}
