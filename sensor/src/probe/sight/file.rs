//! `file`: what is done to files.

use super::{Sight, Way};
use crate::probe::hook::{Hook, HookKind};
use crate::record::Class;

const fn after(program: &'static str, place: &'static str) -> Hook {
    Hook { program, place, class: Class::File, kind: HookKind::Return }
}

const OPENED: Hook = after("file_opened", "security_file_open");
const MAPPED: Hook = after("file_mapped", "security_mmap_file");
const PROTECTED: Hook = after("file_protected", "security_file_mprotect");

pub(super) static SIGHTS: &[Sight] = &[
    Sight {
        name: "file.open",
        shows: "files opened and created by an open",
        without: "no file is seen to be opened",
        required: false,
        ways: &[Way { name: "fexit", hooks: &[&OPENED], blind: "" }],
    },
    Sight {
        name: "file.mmap_exec",
        shows: "files mapped to be executed",
        without: "libraries and programs run through a loader are not seen",
        required: false,
        ways: &[Way { name: "fexit", hooks: &[&MAPPED, &PROTECTED], blind: "" }],
    },
];
