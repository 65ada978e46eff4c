//! The processes that live already: identity from the kernel, arguments from /proc.
//!
//! No program can read another task's memory on every kernel, so the arguments of a process that
//! was there before the sensor come from `/proc/PID/cmdline`, which the process itself may have
//! rewritten. Everything else comes from the kernel's own objects.

use std::fs;
use std::io::{self, Read};

use sensor_bpf::event::{EVENT_ARGS_MAX, event_header};
use zerocopy::FromBytes;

use super::ProbeError;
use super::pins::Pins;
use super::sight;
use crate::proc;
use crate::record::{Body, Image, Record, RecordError, Task};

/// How much is read at once; the kernel gives no more than 32 KiB a time.
const READ_BYTES: usize = 64 << 10;
/// More of a command line than this is not even counted.
const CMDLINE_MAX: u64 = 4 << 20;

/// A living process's image, with what it borrows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedImage {
    record: Box<[u8]>,
    args: Vec<u8>,
    args_bytes: u64,
    args_count: u64,
}

impl OwnedImage {
    /// The image, `just_executed` being false.
    ///
    /// # Errors
    /// When the iterator's bytes are of another version.
    pub fn image(&self) -> Result<Image<'_>, RecordError> {
        let Body::Image(mut image) = Record::decode(&self.record)?.body else {
            return Err(RecordError::Kind(0));
        };
        image.args = &self.args;
        image.args_bytes = self.args_bytes;
        image.args_count = self.args_count;
        image.truncated |= self.args_bytes > self.args.len() as u64;
        Ok(*image)
    }

    fn new(record: &[u8]) -> Self {
        let mut owned = Self { record: record.into(), args: Vec::new(), args_bytes: 0, args_count: 0 };
        if let Some(task) = owned.image().ok().and_then(|image| image.task)
            && let Some(args) = cmdline_of(&task)
        {
            owned.args_bytes = args.len() as u64;
            owned.args_count = count_args(&args);
            owned.args = args;
            owned.args.truncate(EVENT_ARGS_MAX as usize);
            owned.args.shrink_to_fit();
        }
        owned
    }
}

/// Runs the iterator and hands over one process after another: a host of 50,000 would else take
/// tens of megabytes for a moment.
pub(super) fn each(pins: &Pins, mut take: impl FnMut(&OwnedImage)) -> Result<(), ProbeError> {
    let failed = |source| ProbeError::Seed { source };
    // What is there of them: which must be says each sight.
    let iterators = sight::hooks().into_iter().filter(|hook| hook.is_iterator());
    for hook in iterators.filter(|hook| pins.link_path(hook).exists()) {
        let mut file = fs::File::open(pins.link_path(hook)).map_err(failed)?;
        let (mut waiting, mut chunk) = (Vec::new(), vec![0; READ_BYTES]);
        loop {
            let n = match file.read(&mut chunk) {
                // One that writes nothing: the kernel has seen a million objects, and wants to be asked again.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                read => read.map_err(failed)?,
            };
            let Some(read) = chunk.get(..n).filter(|read| !read.is_empty()) else { break };
            waiting.extend_from_slice(read);
            let mut n_taken = 0;
            for record in split(&waiting) {
                take(&OwnedImage::new(record));
                n_taken += record.len();
            }
            waiting.drain(..n_taken);
        }
    }
    Ok(())
}

/// The records written one after another, each as long as its header says.
fn split(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (header, _) = event_header::read_from_prefix(bytes).ok()?;
        let size = (header.size as usize).max(size_of::<event_header>());
        let (record, rest) = bytes.split_at_checked(size)?;
        bytes = rest;
        Some(record)
    })
}

/// The command line, if the pid still is that process.
fn cmdline_of(task: &Task) -> Option<Vec<u8>> {
    let mut args = Vec::new();
    let file = fs::File::open(format!("/proc/{}/cmdline", task.key.pid)).ok()?;
    file.take(CMDLINE_MAX).read_to_end(&mut args).ok()?;
    proc::lives(task.key).then_some(args)
}

/// Arguments end with NUL, the last one perhaps without.
fn count_args(args: &[u8]) -> u64 {
    let n_ended = args.iter().filter(|byte| **byte == 0).count() as u64;
    n_ended + u64::from(args.last().is_some_and(|last| *last != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_split_by_their_own_length_and_garbage_ends_them() {
        let mut bytes = vec![0; 100];
        bytes.splice(..4, 40u32.to_le_bytes());
        bytes.splice(40..44, 60u32.to_le_bytes());
        assert_eq!(split(&bytes).map(<[u8]>::len).collect::<Vec<_>>(), [40, 60]);
        assert_eq!(split(&[0xff; 64]).count(), 0);
        assert_eq!(split(&[0; 64]).count(), 2);
    }
}
