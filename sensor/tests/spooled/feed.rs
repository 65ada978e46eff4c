//! A file of the spool, whatever its bytes: as it is, and with a checksum that is right.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use uuid::Uuid;
use vedette_sensor::spool::{Parcel, Spool, StreamKey};
use wire::batch::Sealed;
use wire::frame::data::Batch;
use wire::id::{Epoch, Lane};

const STREAM: StreamKey = StreamKey { epoch: Epoch::new(Uuid::from_u128(5)), lane: Lane::Bulk };
const FIRST_SEQ: u64 = 7;

/// A spool with one parcel, whose file inputs are put in the place of.
pub(crate) struct Feed {
    spool: Spool,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Feed {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("vedette-spooled-")
            .tempdir_in("/dev/shm")
            .expect("there is memory for a folder");
        let (spool, found) = Spool::open(&folder.path().join("spool")).expect("the spool opens");
        assert!(found.is_empty());
        spool.write(STREAM, &parcel(b"header", b"payload")).expect("a parcel is kept");
        let file = only_file(&folder.path().join("spool"));
        Self { spool, file, _folder: folder }
    }

    /// Feeds one input; whether it could be read as a parcel, in one of the two ways.
    pub(crate) fn feed(&self, input: &[u8]) -> bool {
        let with_sum = [input, &sum(input)].concat();
        let as_it_is = self.read(input);
        self.read(&with_sum) || as_it_is
    }

    fn read(&self, bytes: &[u8]) -> bool {
        fs::write(&self.file, bytes).expect("the file is written");
        let Ok(parcel) = self.spool.read(STREAM, FIRST_SEQ) else { return false };
        // What could be read is what is written for it.
        assert_eq!(parcel.first_seq(), FIRST_SEQ);
        assert!(parcel.end() > FIRST_SEQ);
        self.spool.write(STREAM, &parcel).expect("it is kept");
        assert_eq!(self.spool.read(STREAM, FIRST_SEQ).expect("it can be read again"), parcel);
        true
    }
}

fn parcel(header: &'static [u8], payload: &'static [u8]) -> Parcel {
    let sealed = Sealed { header: Bytes::from_static(header), payload: Bytes::from_static(payload) };
    Parcel::Batch(Batch { first_seq: FIRST_SEQ, n_events: 3, sealed })
}

/// What stands at the end of a parcel's file.
fn sum(body: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(STREAM.epoch.uuid().as_bytes());
    hasher.update(&[STREAM.lane as u8]);
    hasher.update(&FIRST_SEQ.to_le_bytes());
    hasher.update(body);
    *hasher.finalize().as_bytes()
}

fn only_file(folder: &Path) -> PathBuf {
    let name = format!("{FIRST_SEQ:020}");
    let streams = fs::read_dir(folder).expect("the folder is there").flatten();
    let paths = streams.map(|entry| entry.path().join(&name));
    paths.into_iter().find(|path| path.is_file()).expect("the parcel has a file")
}
