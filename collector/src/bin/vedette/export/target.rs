//! Where an export's records go.

use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::bail;

use super::kept::Kept;
use super::resume::Resume;
use super::staged::Staged;
use crate::cli::{ExportArgs, ExportTo};

/// Lines in a file or on standard output; or nothing, where the collector sends them on itself.
pub(super) enum Target {
    File(Kept),
    Output(BufWriter<std::io::Stdout>),
    Table(Staged),
    Elsewhere,
}

impl Target {
    /// A new file, or the one that an earlier call has left.
    pub(super) fn open(args: &ExportArgs, resume: &Resume) -> anyhow::Result<Self> {
        let is_written = |path: &Path| std::fs::metadata(path).is_ok_and(|file| file.len() > 0);
        let taken =
            |path: &Path| format!("{} is there already: remove it, or choose another file", path.display());
        match (args.to, &args.file) {
            (ExportTo::Kafka, _) => Ok(Self::Elsewhere),
            (ExportTo::Parquet, None) => {
                bail!("a Parquet file needs a name: vedette export QUERY FILE --to parquet")
            }
            (ExportTo::Parquet, Some(path)) if is_written(path) => bail!(taken(path)),
            (ExportTo::Parquet, Some(path)) => Ok(Self::Table(Staged::open(path, resume)?)),
            (ExportTo::Ndjson, None) => Ok(Self::Output(BufWriter::new(std::io::stdout()))),
            (ExportTo::Ndjson, Some(path)) => {
                if resume.upto.is_none() && is_written(path) {
                    bail!(taken(path));
                }
                Ok(Self::File(Kept::open(path, resume.n_bytes)?))
            }
        }
    }

    /// Writes a record.
    pub(super) fn record(&mut self, record: &[u8]) -> std::io::Result<()> {
        let out: &mut dyn Write = match self {
            Self::File(file) => file,
            Self::Output(out) => out,
            Self::Table(staged) => return staged.record(record),
            Self::Elsewhere => return Ok(()),
        };
        out.write_all(record)?;
        out.write_all(b"\n")
    }

    /// What was written stays, whatever happens; how long it is.
    pub(super) fn keep(&mut self) -> anyhow::Result<u64> {
        match self {
            Self::File(file) => file.keep(),
            Self::Output(out) => {
                out.flush()?;
                Ok(0)
            }
            Self::Table(staged) => staged.keep(),
            Self::Elsewhere => Ok(0),
        }
    }

    /// Forgets what came after that: it comes again.
    pub(super) fn back_to(&mut self, resume: &Resume) -> anyhow::Result<()> {
        match self {
            Self::File(file) => file.back_to(resume.n_bytes),
            // What was printed cannot be taken back.
            Self::Output(out) => {
                out.flush()?;
                bail!("the answer broke off; what came after the last whole stretch was printed already")
            }
            Self::Table(staged) => staged.back_to(resume.n_bytes),
            Self::Elsewhere => Ok(()),
        }
    }

    /// Everything has come.
    pub(super) fn finish(mut self, resume: &Resume) -> anyhow::Result<()> {
        match self {
            Self::Table(staged) => staged.finish(resume),
            _ => self.keep().map(drop),
        }
    }
}
