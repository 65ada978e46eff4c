//! The bytes of `bpf/event.h` → [`Record`]. Nothing in them is trusted, the kernel's own lengths included.

use sensor_bpf::event;
use wire::id::ProcessKey;
use wire::time::BootTime;
use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::{
    Body, Call, Class, Close, Connection, Credentials, Dns, Exit, File, Fork, Image, KernelAction, Made,
    Memory, Move, Namespaces, Place, Populated, Record, Setting, Stdio, Target, Task, Touch,
};

/// Bytes that are no record of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Shorter than what they claim to be.
    #[error("record of {found} bytes is cut short, expected {expected}")]
    Short {
        /// Bytes there.
        found: usize,
        /// Bytes its kind has at least.
        expected: usize,
    },
    /// A kind this version does not know: the object in the kernel is newer than the sensor.
    #[error(
        "record of unknown kind {0}, which this version does not know: the loaded programs are of another version"
    )]
    Kind(u16),
    /// A number in the sequence that none comes to.
    #[error(
        "record has the number {0}, expected one below 2^56: the counters of the loaded programs were tampered with"
    )]
    Sequence(u64),
    /// A value outside its range.
    #[error("record has {field} {value}, which no program emits")]
    Value {
        /// Which value.
        field: &'static str,
        /// What was found.
        value: u32,
    },
}

/// No sequence comes so far: at a million records a second in 2,000 years. Somebody has written into the kernel's counters.
const MAX_SEQ: u64 = 1 << 56;

impl<'a> Record<'a> {
    /// Decodes one record as it lay in a ring.
    ///
    /// # Errors
    /// When the bytes are cut short, of an unknown kind, or hold a value that no program emits.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let header: event::event_header = fixed(bytes)?;
        let class = match u32::from(header.class_) {
            event::EVENT_CLASS_PROCESS => Class::Process,
            event::EVENT_CLASS_BULK => Class::Bulk,
            event::EVENT_CLASS_FILE => Class::File,
            value => return Err(RecordError::Value { field: "class", value }),
        };
        if header.seq > MAX_SEQ {
            return Err(RecordError::Sequence(header.seq));
        }
        Ok(Self {
            at: Place { class, cpu: header.cpu, seq: header.seq },
            time: BootTime::from_ns(header.time_ns),
            body: Body::decode(header.kind, bytes)?,
        })
    }
}

impl<'a> Body<'a> {
    fn decode(kind: u16, bytes: &'a [u8]) -> Result<Self, RecordError> {
        match u32::from(kind) {
            event::EVENT_FORK => {
                let fork: event::event_fork = fixed(bytes)?;
                Ok(Self::Fork(Fork {
                    child: Task::from(fork.child),
                    parent: Task::from(fork.parent),
                    cgroup_id: fork.cgroup_id,
                }))
            }
            event::EVENT_IMAGE => Image::decode(bytes).map(|image| Self::Image(Box::new(image))),
            event::EVENT_EXIT => fixed(bytes).map(|exit: event::event_exit| Self::Exit(Exit::from(exit))),
            event::EVENT_CONNECTION => Connection::decode(bytes).map(Self::Connection),
            event::EVENT_CLOSE => Close::decode(bytes).map(Self::Close),
            event::EVENT_MADE => Made::decode(bytes).map(Self::Made),
            event::EVENT_FILE => File::decode(bytes).map(|file| Self::File(Box::new(file))),
            event::EVENT_TARGET => Target::decode(bytes).map(Self::Target),
            event::EVENT_KERNEL => KernelAction::decode(bytes).map(Self::Kernel),
            event::EVENT_NAMESPACES => Move::decode(bytes).map(Self::Move),
            event::EVENT_CREDENTIALS => Credentials::decode(bytes).map(|it| Self::Credentials(Box::new(it))),
            event::EVENT_SETTING => Setting::decode(bytes).map(Self::Setting),
            event::EVENT_MEMORY => Memory::decode(bytes).map(Self::Memory),
            event::EVENT_DNS => Dns::decode(bytes).map(|it| Self::Dns(Box::new(it))),
            event::EVENT_POPULATED => Populated::decode(bytes).map(Self::Populated),
            event::EVENT_TOUCH => Touch::decode(bytes).map(Self::Touch),
            event::EVENT_CALL => Call::decode(bytes).map(Self::Call),
            _ => Err(RecordError::Kind(kind)),
        }
    }
}

impl<'a> Image<'a> {
    fn decode(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let fixed: event::event_image = fixed(bytes)?;
        let mut rest = Rest::after::<event::event_image>(bytes);
        let mut take = |len: usize| rest.take(len);
        let [stdin, stdout, stderr, _] = fixed.stdio;
        let has = |flag: u32| fixed.flags & flag != 0;
        Ok(Self {
            just_executed: has(event::EVENT_IMAGE_EXECUTED),
            task: Some(Task::from(fixed.task)),
            parent: (fixed.parent.tgid != 0).then(|| Task::from(fixed.parent)),
            executable: take(fixed.executable_len.into())?,
            cwd: take(fixed.cwd_len.into())?,
            script: take(fixed.script_len.into())?,
            cgroup: take(fixed.cgroup_len.into())?,
            tty: take(fixed.tty_len.into())?,
            args: take(fixed.args_len as usize)?,
            args_bytes: fixed.args_bytes,
            args_count: fixed.args_count,
            cgroup_id: fixed.cgroup_id,
            truncated: has(event::EVENT_IMAGE_TRUNCATED),
            redacted: false,
            uid: fixed.uid,
            euid: fixed.euid,
            egid: fixed.egid,
            loginuid: fixed.loginuid,
            session: fixed.session,
            capabilities: fixed.capabilities,
            namespaces: Namespaces {
                mnt: fixed.mnt_ns,
                pid: fixed.pid_ns,
                net: fixed.net_ns,
                user: fixed.user_ns,
            },
            inode: fixed.inode,
            device: user_device(fixed.device),
            size: fixed.size,
            changed_ns: fixed.changed_ns,
            deleted: has(event::EVENT_IMAGE_DELETED),
            memfd: has(event::EVENT_IMAGE_MEMFD),
            writable_mount: has(event::EVENT_IMAGE_WRITABLE_MOUNT),
            stdio: [Stdio::from(stdin), Stdio::from(stdout), Stdio::from(stderr)],
        })
    }
}

impl From<event::event_task> for Task {
    fn from(task: event::event_task) -> Self {
        Self {
            key: ProcessKey { start: BootTime::from_ns(task.start_ns), pid: task.tgid },
            image: task.image,
        }
    }
}

impl From<event::event_exit> for Exit {
    fn from(exit: event::event_exit) -> Self {
        // wait(2): the signal in the low seven bits (the eighth says that a core was written), else the code.
        let signal = exit.status & 0x7f;
        Self {
            task: Task::from(exit.task),
            code: if signal == 0 { exit.status >> 8 & 0xff } else { 128 + signal },
            signal,
            duration_ns: exit.duration_ns,
        }
    }
}

impl From<u8> for Stdio {
    fn from(kind: u8) -> Self {
        match u32::from(kind) {
            event::EVENT_STDIO_TTY => Self::Tty,
            event::EVENT_STDIO_FILE => Self::File,
            event::EVENT_STDIO_PIPE => Self::Pipe,
            event::EVENT_STDIO_SOCKET => Self::Socket,
            event::EVENT_STDIO_NULL => Self::Null,
            _ => Self::Other,
        }
    }
}

/// What comes after a record's fixed part: strings, one after another.
pub(super) struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    /// What follows a fixed part of this type.
    pub(super) fn after<T>(bytes: &'a [u8]) -> Self {
        Self(bytes.get(size_of::<T>()..).unwrap_or_default())
    }

    /// The next string.
    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], RecordError> {
        let short = RecordError::Short { found: self.0.len(), expected: len };
        let (taken, left) = self.0.split_at_checked(len).ok_or(short)?;
        self.0 = left;
        Ok(taken)
    }
}

/// The kernel's device number (20 bits of minor) as `stat` shows it (`new_encode_dev`).
pub(super) fn user_device(device: u64) -> u64 {
    let (major, minor) = (device >> 20, device & 0xf_ffff);
    (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12)
}

/// The fixed part, copied out, as the bytes need not be aligned.
pub(super) fn fixed<T: FromBytes + KnownLayout + Immutable>(bytes: &[u8]) -> Result<T, RecordError> {
    match T::read_from_prefix(bytes) {
        Ok((value, _)) => Ok(value),
        Err(_) => Err(RecordError::Short { found: bytes.len(), expected: size_of::<T>() }),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use proptest::prelude::*;
    use zerocopy::IntoBytes;

    use super::*;

    fn image_bytes(image: event::event_image, rest: &[u8]) -> Vec<u8> {
        [image.as_bytes(), rest].concat()
    }

    #[test]
    fn image_strings_are_where_their_lengths_say() {
        let mut image = event::event_image::default();
        image.header.kind = event::EVENT_IMAGE as u16;
        image.executable_len = 7;
        image.cwd_len = 1;
        image.script_len = 2;
        image.cgroup_len = 3;
        image.tty_len = 4;
        image.args_len = 5;
        image.device = 8 << 20 | 0x301;
        let bytes = image_bytes(image, b"/bin/sh/./cgrptty0a\0b\xff\0");
        let record = Record::decode(&bytes).unwrap();
        let Body::Image(image) = record.body else { panic!("not an image") };
        assert_eq!(image.executable, b"/bin/sh");
        assert_eq!(image.cwd, b"/");
        assert_eq!(image.script, b"./");
        assert_eq!(image.cgroup, b"cgr");
        assert_eq!(image.tty, b"ptty");
        assert_eq!(image.args, b"0a\0b\xff");
        assert_eq!(image.device, 0x300801);
        assert_eq!(
            Record::decode(&bytes[..bytes.len() - 3]),
            Err(RecordError::Short { found: 3, expected: 5 })
        );
    }

    #[test]
    fn exit_status_reads_as_the_shell_has_it() {
        let exit = |status| Exit::from(event::event_exit { status, ..Default::default() });
        assert_eq!((exit(3 << 8).code, exit(3 << 8).signal), (3, 0));
        assert_eq!((exit(9).code, exit(9).signal), (137, 9));
        assert_eq!((exit(0x80 | 11).code, exit(0x80 | 11).signal), (139, 11));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_fail_without_panic(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..512),
            kind in 0u16..24,
            class in 0u16..4,
        ) {
            // Most random bytes would stop at the header: give them one that leads on.
            if let Some(header) = bytes.get_mut(4..8) {
                header[..2].copy_from_slice(&kind.to_le_bytes());
                header[2..].copy_from_slice(&class.to_le_bytes());
            }
            drop(Record::decode(&bytes));
        }
    }
}
