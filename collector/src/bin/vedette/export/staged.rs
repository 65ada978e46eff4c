//! Events on their way into a Parquet file, which can only be written from its beginning to its end: they are kept beside it, compressed, until
//! all have come.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use zstd::stream::read::Decoder;
use zstd::stream::write::Encoder;

use super::kept::Kept;
use super::resume::Resume;
use super::table;

/// What has come, one frame of Zstandard after another.
pub(super) struct Staged {
    /// The file that is to be made.
    to: PathBuf,
    path: PathBuf,
    /// Whole frames.
    file: Kept,
    /// What came since the last.
    frame: Encoder<'static, Vec<u8>>,
}

const LEVEL: i32 = 3;

impl Staged {
    /// Goes on behind what an earlier call has left beside `to`.
    pub(super) fn open(to: &Path, resume: &Resume) -> anyhow::Result<Self> {
        let path = beside(to, "part");
        let file = Kept::open(&path, resume.n_bytes)?;
        Ok(Self { to: to.to_owned(), path, file, frame: frame()? })
    }

    pub(super) fn record(&mut self, record: &[u8]) -> std::io::Result<()> {
        self.frame.write_all(record)?;
        self.frame.write_all(b"\n")
    }

    /// What has come stays; how long the file is.
    pub(super) fn keep(&mut self) -> anyhow::Result<u64> {
        let frame = std::mem::replace(&mut self.frame, frame()?);
        self.file.write_all(&frame.finish()?)?;
        self.file.keep()
    }

    /// Forgets what came after so many bytes of the file.
    pub(super) fn back_to(&mut self, n_bytes: u64) -> anyhow::Result<()> {
        self.frame = frame()?;
        self.file.back_to(n_bytes)
    }

    /// Makes the file, of all that has come.
    pub(super) fn finish(mut self, resume: &Resume) -> anyhow::Result<()> {
        self.keep()?;
        let new = beside(&self.to, "new");
        let cannot = || format!("cannot write {}", new.display());
        let to = File::create(&new).with_context(cannot)?;
        let events = BufReader::new(Decoder::new(File::open(&self.path)?)?);
        table::write(events, &resume.about(), BufWriter::new(&to)).with_context(cannot)?;
        to.sync_all().with_context(cannot)?;
        std::fs::rename(&new, &self.to).with_context(|| format!("cannot write {}", self.to.display()))?;
        std::fs::remove_file(&self.path).with_context(|| format!("cannot remove {}", self.path.display()))
    }
}

fn frame() -> std::io::Result<Encoder<'static, Vec<u8>>> {
    Encoder::new(Vec::new(), LEVEL)
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}.{ending}", path.display()))
}
