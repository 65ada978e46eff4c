//! `kernel`: what processes do to the kernel.

use super::{Kind, KindInfo};
use crate::field::Field;
use crate::id::Lane;

impl Kind {
    /// A kernel module was loaded.
    pub const MODULE_LOAD: Kind = Kind(60);
    /// A process made an io_uring, through which it can ask for things without system calls.
    pub const IO_URING_SETUP: Kind = Kind(69);
}

const fn kernel(kind: Kind, action: &'static str, columns: &'static [Field]) -> KindInfo {
    KindInfo { kind, category: "kernel", action, lane: Lane::Bulk, columns }
}

pub(super) static KINDS: &[KindInfo] = &[
    kernel(Kind::MODULE_LOAD, "module_load", &[Field::KernelObjectName]),
    kernel(Kind::IO_URING_SETUP, "io_uring_setup", &[]),
];
