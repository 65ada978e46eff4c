//! What a sensor before left in the folder.

use std::fs;
use std::path::Path;

use wire::batch::Digest;

use super::name::{UNFINISHED, WATERMARK, parse_stream};
use super::{DirError, StreamKey, file};

/// One stream that was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// Which.
    pub stream: StreamKey,
    /// How far it was acknowledged, and the chain there; `None` if that is not known.
    pub watermark: Option<(u64, Digest)>,
    /// The parcels, by first sequence, with the size of their files. Not yet read.
    pub parcels: Vec<(u64, u64)>,
}

/// Lists the streams, oldest first. Removes files that were never finished; leaves alone, and does
/// not mention, what it does not know.
pub(super) fn scan(dir: &Path) -> Result<Vec<Found>, DirError> {
    let mut found = Vec::new();
    for entry in read_dir(dir)? {
        let name = entry.file_name();
        let Some(stream) = name.to_str().and_then(parse_stream) else { continue };
        let mut one = Found { stream, watermark: None, parcels: Vec::new() };
        for entry in read_dir(&entry.path())? {
            let (name, path) = (entry.file_name(), entry.path());
            let name = name.to_str().unwrap_or_default();
            if name == WATERMARK {
                one.watermark = fs::read(&path).ok().and_then(|b| file::decode_watermark(stream, &b));
            } else if path.extension().is_some_and(|e| e == UNFINISHED) {
                drop(fs::remove_file(&path));
            } else if let (20, Ok(seq), Ok(meta)) = (name.len(), name.parse(), entry.metadata()) {
                one.parcels.push((seq, meta.len()));
            }
        }
        one.parcels.sort_unstable();
        found.push(one);
    }
    found.sort_unstable_by_key(|one| one.stream);
    Ok(found)
}

fn read_dir(dir: &Path) -> Result<Vec<fs::DirEntry>, DirError> {
    let io = |source| DirError::Io { path: dir.to_owned(), source };
    fs::read_dir(dir).map_err(io)?.map(|entry| entry.map_err(io)).collect()
}
