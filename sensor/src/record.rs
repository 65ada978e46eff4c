//! One record of the kernel, decoded but not yet understood.
//!
//! Pure: bytes in, typed record out. Everything in it was chosen by a process on the host, so
//! lengths are checked and nothing is assumed to be UTF-8.

use wire::id::ProcessKey;
use wire::time::BootTime;

mod call;
mod container;
mod credentials;
mod decode;
mod dns;
mod file;
mod kernel;
mod memory;
mod network;
mod place;
mod setting;
mod target;
mod touch;

pub use call::Call;
pub use container::Populated;
pub use credentials::{Credentials, Ids};
pub use decode::RecordError;
pub use dns::{Carrier, Dns, DnsEnds};
pub use file::{Access, File};
pub use kernel::{KernelAction, Program};
pub use memory::Memory;
pub use network::{Close, Connection, Made, Role, Socket, Transport};
pub use place::{Held, Move};
pub use setting::Setting;
pub use target::Target;
pub use touch::{Object, Touch};

/// A record as a program in the kernel emitted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Where it stands in its CPU's sequence: gaps are records that were lost.
    pub at: Place,
    /// When the hook ran.
    pub time: BootTime,
    /// What happened.
    pub body: Body<'a>,
}

/// A record's place in the kernel's numbering: one sequence for each CPU and class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Which ring (and so which lane) it came through.
    pub class: Class,
    /// The CPU that emitted it (before 5.12 with its nesting level in the upper half): names the sequence.
    pub cpu: u32,
    /// Its number there, from 0 since the programs were loaded, taken before the reservation.
    pub seq: u64,
}

/// Which ring buffer a record travels in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Fork, exec, exit: the critical lane.
    Process,
    /// Everything that is of no other class: the bulk lane.
    Bulk,
    /// Files: the bulk lane too, in a ring of their own.
    File,
}

/// One value for each class, in the order of [`Class::ALL`].
pub type PerClass<T> = [T; 3];

impl Class {
    /// Every class, in the order in which their rings are drained: what tells of processes first.
    pub const ALL: PerClass<Class> = [Class::Process, Class::Bulk, Class::File];

    /// This class's value.
    pub fn of<T>(self, all: &PerClass<T>) -> &T {
        let [process, bulk, file] = all;
        match self {
            Class::Process => process,
            Class::Bulk => bulk,
            Class::File => file,
        }
    }

    /// This class's value, to be changed.
    pub fn of_mut<T>(self, all: &mut PerClass<T>) -> &mut T {
        let [process, bulk, file] = all;
        match self {
            Class::Process => process,
            Class::Bulk => bulk,
            Class::File => file,
        }
    }
}

/// A process as the kernel named it when the hook ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Task {
    /// Its lasting identity.
    pub key: ProcessKey,
    /// `self_exec_id`: which of its images it runs.
    pub image: u32,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// A process (never a mere thread) was born.
    Fork(Fork),
    /// A new image runs, or (from the iterator) an image that ran already.
    Image(Box<Image<'a>>),
    /// A process's thread-group leader ended and no thread of it is left.
    Exit(Exit),
    /// A TCP connection reached ESTABLISHED, or was accepted, or read first by another process.
    Connection(Connection),
    /// A TCP connection ended.
    Close(Close),
    /// A raw or packet socket was made.
    Made(Made),
    /// Something was done to a file.
    File(Box<File<'a>>),
    /// Something was done to another process.
    Target(Target),
    /// Something was done to the kernel.
    Kernel(KernelAction),
    /// A process came to live in other namespaces.
    Move(Move),
    /// A process's credentials were changed.
    Credentials(Box<Credentials>),
    /// A setting of the kernel was written.
    Setting(Setting<'a>),
    /// Memory became code, or a file that is memory only was made.
    Memory(Memory<'a>),
    /// A system call that the collection asks for has returned.
    Call(Call),
    /// A process asked a DNS server something, or got an answer.
    Dns(Box<Dns<'a>>),
    /// A control group filled or emptied.
    Populated(Populated<'a>),
    /// Somebody got hold of something of the sensor's own.
    Touch(Touch),
}

impl Body<'_> {
    /// The process that acts, where it is known by other records: not in those of its own life.
    pub fn actor(&self) -> Option<Task> {
        match self {
            Body::Fork(_) | Body::Image(_) | Body::Exit(_) | Body::Populated(_) => None,
            Body::Connection(connection) => Some(connection.task),
            Body::Close(close) => Some(close.task),
            Body::Made(made) => Some(made.task),
            Body::File(file) => Some(file.task),
            Body::Target(target) => Some(target.task),
            Body::Kernel(kernel) => Some(kernel.task),
            Body::Move(moved) => Some(moved.task),
            Body::Credentials(changed) => Some(changed.task),
            Body::Setting(setting) => Some(setting.task),
            Body::Memory(memory) => Some(memory.task),
            Body::Dns(dns) => Some(dns.ends.task),
            Body::Touch(touch) => Some(touch.task),
            Body::Call(call) => Some(call.task),
        }
    }
}

/// A birth: the child starts with its parent's image and credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fork {
    /// The new process.
    pub child: Task,
    /// The process that called fork, vfork or clone.
    pub parent: Task,
    /// The child's control group (its id in the controller that is read), which CLONE_INTO_CGROUP may have changed.
    pub cgroup_id: u64,
}

/// An image: what a process runs and with which rights.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Image<'a> {
    /// Whether it was just executed (or was found running when the sensor started).
    pub just_executed: bool,
    /// The process.
    pub task: Option<Task>,
    /// Its parent now: the fork-time parent for a process seen from its birth.
    pub parent: Option<Task>,
    /// The executable's path from its dentry and mounts, up to the root of its mount namespace (a
    /// chroot is seen through); a kernel thread's name in brackets; `/memfd:NAME` for a memfd.
    pub executable: &'a [u8],
    /// The arguments, each ended by NUL, cut at the limit.
    pub args: &'a [u8],
    /// How long they really were, in bytes.
    pub args_bytes: u64,
    /// How many there really were.
    pub args_count: u64,
    /// The working directory.
    pub cwd: &'a [u8],
    /// The script whose `#!` line led here, as it was named to exec (so perhaps relative to `cwd`);
    /// empty when there was none.
    pub script: &'a [u8],
    /// The control group's path in the pids or memory controller (or v2).
    pub cgroup: &'a [u8],
    /// That group's id, as forks name it.
    pub cgroup_id: u64,
    /// The controlling terminal's name as its driver gives it (`tty1`, `pts0`); empty when there is none.
    pub tty: &'a [u8],
    /// Whether any of the above had to be cut.
    pub truncated: bool,
    /// Whether secrets in the arguments were replaced.
    pub redacted: bool,
    /// Real, effective user ids in the initial user namespace.
    pub uid: u32,
    /// See `uid`.
    pub euid: u32,
    /// Effective group id.
    pub egid: u32,
    /// Audit login uid; `u32::MAX` when never set.
    pub loginuid: u32,
    /// Session id (`task_session`, in the host's pid namespace).
    pub session: u32,
    /// Effective capabilities.
    pub capabilities: u64,
    /// Inodes of the namespaces.
    pub namespaces: Namespaces,
    /// The executable's inode.
    pub inode: u64,
    /// The executable's device, as `new_encode_dev` gives it to user space.
    pub device: u64,
    /// The executable's length in bytes.
    pub size: u64,
    /// When the executable was changed last (ctime), in ns since 1970.
    pub changed_ns: i64,
    /// The executable had no link left.
    pub deleted: bool,
    /// The executable lives in memory only (memfd).
    pub memfd: bool,
    /// Its mount is writable.
    pub writable_mount: bool,
    /// What descriptors 0, 1 and 2 are.
    pub stdio: [Stdio; 3],
}

/// Namespace inode numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub struct Namespaces {
    /// Mount.
    pub mnt: u32,
    /// Pid.
    pub pid: u32,
    /// Network.
    pub net: u32,
    /// User.
    pub user: u32,
}

/// What a standard descriptor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub enum Stdio {
    /// Closed, or something else.
    #[default]
    Other,
    /// A terminal.
    Tty,
    /// A regular file or directory.
    File,
    /// A pipe or fifo.
    Pipe,
    /// A socket.
    Socket,
    /// `/dev/null`.
    Null,
}

/// An end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The process, with its last image.
    pub task: Task,
    /// The exit code as the shell knows it: 0 to 255, or 128 plus the signal.
    pub code: u32,
    /// The signal that ended it, or 0.
    pub signal: u32,
    /// How long it lived, in ns.
    pub duration_ns: u64,
}
