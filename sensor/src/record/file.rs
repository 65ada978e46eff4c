//! An action on a file.

use sensor_bpf::event;
use wire::event::Kind;

use super::decode::{Rest, fixed, user_device};
use super::{RecordError, Task};

/// What a process did to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File<'a> {
    /// What was done.
    pub action: Kind,
    /// The process that did it.
    pub task: Task,
    /// The path, from the root of the mount namespace that it lies in; a chroot is seen through.
    pub path: &'a [u8],
    /// The other path of a rename or link; what a symbolic link holds, as it was given.
    pub target: &'a [u8],
    /// The attribute that was set; of a mount the file system's type.
    pub name: &'a [u8],
    /// The inode; 0 where the kernel shows none.
    pub inode: u64,
    /// The device, as `new_encode_dev` gives it to user space.
    pub device: u64,
    /// The superblock's magic number.
    pub filesystem: u32,
    /// Type and permission bits, as in `stat`; 0 where the kernel shows none.
    pub mode: u32,
    /// User id of its owner.
    pub owner: u32,
    /// Its group id.
    pub group: u32,
    /// Its length in bytes.
    pub size: u64,
    /// What it was opened or mapped for.
    pub access: Access,
    /// Why it failed, as an error number; 0 when it did not.
    pub error: u32,
    /// A path lacks its beginning.
    pub truncated: bool,
    /// The path is as the host's own mount namespace has it.
    pub host_namespace: bool,
    /// Only a system call's arguments were seen: the paths come from the process's own memory.
    pub from_syscall: bool,
}

/// What a file is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Access {
    /// To read from it.
    pub read: bool,
    /// To write to it.
    pub write: bool,
    /// To run it.
    pub exec: bool,
}

impl<'a> File<'a> {
    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let file: event::event_file = fixed(bytes)?;
        let mut rest = Rest::after::<event::event_file>(bytes);
        let is_other = matches!(
            file.action,
            event::EVENT_MOUNT
                | event::EVENT_UNMOUNT
                | event::EVENT_CHROOT
                | event::EVENT_PIVOT_ROOT
                | event::EVENT_KEXEC_FILE
                | event::EVENT_CONTROL
                | event::EVENT_RUNTIME_SOCKET
                | event::EVENT_OUTSIDE_ROOT
        );
        if !is_other && !(event::EVENT_FILE_OPEN..=event::EVENT_FILE_MMAP_EXEC).contains(&file.action) {
            return Err(RecordError::Value { field: "file action", value: file.action });
        }
        let has = |flag: u32| file.flags & flag != 0;
        let may = |bit: u32| file.access & bit != 0;
        Ok(Self {
            action: Kind::new(u16::try_from(file.action).unwrap_or_default()),
            task: Task::from(file.task),
            path: rest.take(file.path_len.into())?,
            target: rest.take(file.target_len.into())?,
            name: rest.take(file.name_len.into())?,
            inode: file.inode,
            device: user_device(file.device),
            filesystem: file.filesystem,
            mode: file.mode,
            owner: file.owner,
            group: file.group,
            size: file.size,
            access: Access {
                read: may(event::EVENT_ACCESS_READ),
                write: may(event::EVENT_ACCESS_WRITE),
                exec: may(event::EVENT_ACCESS_EXEC),
            },
            error: file.error.unsigned_abs(),
            truncated: has(event::EVENT_FILE_PATH_CUT | event::EVENT_FILE_TARGET_CUT),
            host_namespace: has(event::EVENT_FILE_HOST_NAMESPACE),
            from_syscall: has(event::EVENT_FILE_SYSCALL),
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use zerocopy::IntoBytes;

    use super::*;

    #[test]
    fn strings_are_where_their_lengths_say() {
        let file = event::event_file {
            action: event::EVENT_FILE_RENAME,
            flags: event::EVENT_FILE_HOST_NAMESPACE,
            access: event::EVENT_ACCESS_WRITE,
            error: -13,
            path_len: 2,
            target_len: 3,
            name_len: 1,
            ..Default::default()
        };
        let bytes = [file.as_bytes(), b"/a/bcx"].concat();
        let found = File::decode(&bytes).unwrap();
        assert_eq!((found.path, found.target, found.name), (&b"/a"[..], &b"/bc"[..], &b"x"[..]));
        assert_eq!((found.action, found.error), (Kind::FILE_RENAME, 13));
        assert!(found.host_namespace && !found.from_syscall && found.access.write && !found.access.read);
        let short = bytes.get(..bytes.len() - 1).unwrap();
        assert_eq!(File::decode(short), Err(RecordError::Short { found: 0, expected: 1 }));
    }

    #[test]
    fn an_action_that_no_program_emits_is_refused() {
        let file = event::event_file { action: 51, ..Default::default() };
        assert!(matches!(File::decode(file.as_bytes()), Err(RecordError::Value { value: 51, .. })));
    }
}
