//! Why the kernel could not be asked, each with what to do about it.

use std::io;
use std::path::PathBuf;

use super::KernelVersion;

/// What stood in the way of loading, reading or removing the programs.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The caller may not load programs, or see which are.
    #[error(
        "loading and removing BPF programs needs root (CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN); run it with sudo"
    )]
    NotRoot,
    /// The kernel is too old.
    #[error("kernel {found} is too old, the sensor needs 5.10 or newer; boot a newer kernel")]
    KernelTooOld {
        /// What runs.
        found: KernelVersion,
    },
    /// The kernel does not describe its types.
    #[error(
        "the kernel has no type information (/sys/kernel/btf/vmlinux); run one built with CONFIG_DEBUG_INFO_BTF=y, as the distributions' are"
    )]
    NoBtf,
    /// The type information cannot be read.
    #[error("cannot read the kernel's type information in /sys/kernel/btf/vmlinux")]
    Btf {
        /// Why.
        #[source]
        source: Box<aya::BtfError>,
    },
    /// The BPF file system is not there and cannot be mounted.
    #[error(
        "/sys/fs/bpf is not a BPF file system and could not be mounted; run: mount -t bpf bpf /sys/fs/bpf"
    )]
    Bpffs {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The name of an instance that is none.
    #[error("invalid sensor name {0:?}, expected 1 to 64 letters, digits, - or _")]
    Name(String),
    /// Another sensor holds this instance.
    #[error("another sensor runs under the name {name:?}; stop it, or give this one another name")]
    Running {
        /// The instance.
        name: String,
    },
    /// The control group to be confined to.
    #[error("cannot confine to the control group {}: {why}", .path.display())]
    Cgroup {
        /// What was named.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The object was refused as a whole.
    #[error("the kernel refused the sensor's maps; see the cause, and `vedette-sensor check`")]
    Load {
        /// Why.
        #[source]
        source: Box<aya::EbpfError>,
    },
    /// A program without which nothing works was refused.
    #[error("the kernel refused the program {program}; see the cause, and `vedette-sensor check`")]
    Program {
        /// Which.
        program: &'static str,
        /// Why.
        #[source]
        source: Box<aya::programs::ProgramError>,
    },
    /// Something without which nothing works cannot be seen in any way.
    #[error("this kernel shows {name} in no way that the sensor knows; see `vedette-sensor check`")]
    Sight {
        /// What.
        name: &'static str,
    },
    /// A link could not be kept.
    #[error("the kernel could not keep the program {program} attached")]
    Link {
        /// Which.
        program: &'static str,
        /// Why.
        #[source]
        source: Box<aya::programs::links::LinkError>,
    },
    /// A program could not be attached to a control group.
    #[error("the kernel could not attach the program {program} to the root of the control groups")]
    Attach {
        /// Which.
        program: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Runs of programs could not be counted.
    #[error("the kernel does not count the runs of programs; that takes Linux 5.8 and root")]
    Count {
        /// Why.
        #[source]
        source: aya::programs::ProgramError,
    },
    /// A pin could not be made.
    #[error("cannot pin {}", .path.display())]
    Pin {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<aya::pin::PinError>,
    },
    /// A map could not be opened, read or written.
    #[error("cannot use the map {name}; run `vedette-sensor unload` and start again")]
    Map {
        /// Which.
        name: &'static str,
        /// Why.
        #[source]
        source: Box<aya::maps::MapError>,
    },
    /// The pin folder could not be used.
    #[error("cannot use {}", .path.display())]
    Folder {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The rings cannot be waited for.
    #[error("cannot wait for the ring buffers")]
    Wait {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The iterator over living processes failed.
    #[error("cannot read the processes that live")]
    Seed {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The flows of datagrams cannot be read.
    #[error("cannot read the flows of datagrams")]
    Flows {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The programs' counters cannot be read.
    #[error("cannot read the counters of the program {program}")]
    Counters {
        /// Which.
        program: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// More entries than a filter map holds.
    #[error("the filter names {found} {what}, expected at most 1024")]
    FilterTooLong {
        /// Of what.
        what: &'static str,
        /// How many.
        found: usize,
    },
}
