//! `kernel`: what processes do to the kernel.

use wire::event::Kind;
use wire::field::Field;

use super::super::class::{FILE, KERNEL, KERNEL_EXTENSION};
use super::super::mapping::{Case, Mapping};
use super::super::object::UNKNOWN;
use crate::shape::{Attribute, Form, From};

/// A resource of the kernel that a system call is about, which may have a path.
macro_rules! resource {
    ($name:literal, $type_id:literal, $type:literal $(, $more:expr)*) => {
        Attribute {
            name: "kernel",
            from: From::Required(&[
                Attribute::always("name", concat!('"', $name, '"')),
                Attribute::always("type_id", $type_id),
                Attribute::always("type", concat!('"', $type, '"')),
                $($more,)*
            ]),
        }
    };
}

const PATH: Attribute = Attribute::plain("path", Field::FilePath);

const MODULE: Attribute = Attribute {
    name: "driver",
    from: From::Required(&[Attribute {
        name: "file",
        from: From::Required(&[
            Attribute { name: "name", from: From::FieldOr(Field::KernelObjectName, Form::Plain, UNKNOWN) },
            Attribute::always("type_id", "0"),
        ]),
    }]),
};

const BPF: Attribute = Attribute {
    name: "driver",
    from: From::Required(&[Attribute {
        name: "file",
        from: From::Required(&[
            Attribute { name: "name", from: From::FieldOr(Field::KernelObjectName, Form::Plain, UNKNOWN) },
            Attribute::always("type_id", "99"),
            Attribute::always("type", r#""BPF Program""#),
        ]),
    }]),
};

/// What is mounted is the volume, where it is mounted the file.
const MOUNTED: Attribute = Attribute {
    name: "file",
    from: From::Required(&[
        Attribute { name: "name", from: From::FieldOr(Field::FilePath, Form::Base, UNKNOWN) },
        PATH,
        Attribute::plain("volume", Field::FileTargetPath),
        Attribute::always("type_id", "2"),
        Attribute::always("type", r#""Folder""#),
        Attribute::field("uid", Field::FileInode, Form::Text),
        Attribute::field("security_descriptor", Field::FileMode, Form::Octal),
        Attribute::object("owner", &[Attribute::field("uid", Field::FileOwner, Form::Text)]),
    ]),
};

const SETTING: Attribute = Attribute {
    name: "kernel",
    from: From::Required(&[
        Attribute { name: "name", from: From::FieldOr(Field::KernelObjectName, Form::Plain, UNKNOWN) },
        Attribute::always("type_id", "99"),
        Attribute::always("type", r#""Setting""#),
        PATH,
    ]),
};

pub(super) const KINDS: &[Mapping] = &[
    Mapping::new(Kind::MODULE_LOAD, &KERNEL_EXTENSION, &[Case::new(1, &[MODULE])]),
    Mapping::new(Kind::BPF_LOAD, &KERNEL_EXTENSION, &[Case::new(1, &[BPF])]),
    Mapping::new(Kind::MOUNT, &FILE, &[Case::new(12, &[MOUNTED])]),
    Mapping::new(Kind::UNMOUNT, &FILE, &[Case::new(13, &[MOUNTED])]),
    Mapping::new(
        Kind::NAMESPACE_CHANGE,
        &KERNEL,
        &[Case::new(4, &[resource!("namespace", "99", "Namespace")])],
    ),
    Mapping::new(
        Kind::CHROOT,
        &KERNEL,
        &[Case::new(4, &[resource!("chroot", "2", "System Call", CALL_CHROOT, PATH)])],
    ),
    Mapping::new(
        Kind::PIVOT_ROOT,
        &KERNEL,
        &[Case::new(4, &[resource!("pivot_root", "2", "System Call", CALL_PIVOT_ROOT, PATH)])],
    ),
    Mapping::new(Kind::KEXEC, &KERNEL, &[Case::new(4, &[resource!("kexec", "99", "Kernel Image", PATH)])]),
    Mapping::new(Kind::SYSCTL, &KERNEL, &[Case::other("Set", &[SETTING])]),
    Mapping::new(
        Kind::IO_URING_SETUP,
        &KERNEL,
        &[Case::new(1, &[resource!("io_uring", "2", "System Call", CALL_IO_URING)])],
    ),
];

const CALL_CHROOT: Attribute = Attribute::always("system_call", r#""chroot""#);
const CALL_PIVOT_ROOT: Attribute = Attribute::always("system_call", r#""pivot_root""#);
const CALL_IO_URING: Attribute = Attribute::always("system_call", r#""io_uring_setup""#);
