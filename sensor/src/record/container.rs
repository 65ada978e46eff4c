//! Control groups that fill and empty.

use sensor_bpf::event;

use super::RecordError;
use super::decode::{Rest, fixed};

/// A control group, named as runtimes name those of their containers, got its first process or lost its last one. Groups
/// below it count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Populated<'a> {
    /// Whether a process is in it now.
    pub is_populated: bool,
    /// The mount namespace of the process that put the first one there: of the runtime. Of no meaning where it is empty.
    pub by_mnt_ns: u32,
    /// The group's id, as images and forks name it.
    pub cgroup_id: u64,
    /// The group's path; its beginning is missing where it has too many parts.
    pub path: &'a [u8],
    /// Whether the path is not whole.
    pub truncated: bool,
}

impl<'a> Populated<'a> {
    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let fixed: event::event_populated = fixed(bytes)?;
        Ok(Self {
            is_populated: fixed.populated != 0,
            by_mnt_ns: fixed.by_mnt_ns,
            cgroup_id: fixed.cgroup_id,
            path: Rest::after::<event::event_populated>(bytes).take(fixed.path_len.into())?,
            truncated: fixed.truncated != 0,
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use zerocopy::IntoBytes as _;

    use super::*;

    #[test]
    fn the_path_is_as_long_as_it_says() {
        let fixed = event::event_populated { populated: 1, path_len: 5, cgroup_id: 7, ..Default::default() };
        let bytes = [fixed.as_bytes(), b"/a/bcd"].concat();
        let group = Populated::decode(&bytes).unwrap();
        assert_eq!((group.path, group.is_populated, group.cgroup_id), (&b"/a/bc"[..], true, 7));
        let short = bytes.get(..bytes.len() - 2).unwrap();
        assert_eq!(Populated::decode(short), Err(RecordError::Short { found: 4, expected: 5 }));
    }
}
