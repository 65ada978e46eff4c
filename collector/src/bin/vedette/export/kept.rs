//! A file that grows by pieces, each of which stays once it is kept, and what came after the last is taken back.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write};
use std::path::Path;

use anyhow::Context as _;

pub(super) struct Kept(BufWriter<File>);

impl Kept {
    /// A new file, or the first so many bytes of the one that an earlier call has left.
    pub(super) fn open(path: &Path, n_bytes: u64) -> anyhow::Result<Self> {
        let file = OpenOptions::new().create(true).write(true).truncate(false).open(path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        let mut kept = Self(BufWriter::new(file));
        kept.back_to(n_bytes)?;
        Ok(kept)
    }

    /// What was written stays, whatever happens; how long the file is.
    pub(super) fn keep(&mut self) -> anyhow::Result<u64> {
        self.0.flush()?;
        self.0.get_ref().sync_data()?;
        Ok(self.0.stream_position()?)
    }

    /// Forgets what came after so many bytes.
    pub(super) fn back_to(&mut self, n_bytes: u64) -> anyhow::Result<()> {
        self.0.flush()?;
        self.0.get_ref().set_len(n_bytes)?;
        self.0.seek(SeekFrom::Start(n_bytes))?;
        Ok(())
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
