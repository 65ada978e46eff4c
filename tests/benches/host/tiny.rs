//! The smallest programs there are, written byte by byte: what is measured then is fork, exec and exit, not a
//! dynamic linker, and fifty thousand of them fit a machine.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// What a program does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Deed {
    /// Ends at once, with 0.
    Exit,
    /// Does nothing until it is killed, or the thread that started it ends.
    Stay,
}

/// Writes the program.
pub(crate) fn write(path: &Path, deed: Deed) -> io::Result<()> {
    std::fs::write(path, program(code(deed)))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
}

/// An ELF executable of one segment that holds this code.
fn program(code: &[u8]) -> Vec<u8> {
    const HEADERS: u64 = 64 + 56;
    const BASE: u64 = 0x40_0000;
    let size = HEADERS + code.len() as u64;
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let mut put = |bytes: &[u8]| elf.extend_from_slice(bytes);
    put(&2_u16.to_le_bytes()); // an executable
    put(&MACHINE.to_le_bytes());
    put(&1_u32.to_le_bytes());
    // Where it begins, its program headers, no section headers.
    [BASE + HEADERS, 64, 0].iter().for_each(|n| put(&n.to_le_bytes()));
    put(&0_u32.to_le_bytes());
    // The sizes of this header and of the one program header; no section headers.
    [64_u16, 56, 1, 0, 0, 0].iter().for_each(|n| put(&n.to_le_bytes()));
    // To be loaded, readable and executable: the whole file.
    [1_u32, 5].iter().for_each(|n| put(&n.to_le_bytes()));
    [0, BASE, BASE, size, size, 0x1000].iter().for_each(|n: &u64| put(&n.to_le_bytes()));
    put(code);
    elf
}

#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = 62;

#[cfg(target_arch = "x86_64")]
fn code(deed: Deed) -> &'static [u8] {
    match deed {
        // mov eax, 60 (exit); xor edi, edi; syscall
        Deed::Exit => &[0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05],
        // mov eax, 157 (prctl); mov edi, 1 (PR_SET_PDEATHSIG); mov esi, 9 (SIGKILL); syscall;
        // again: mov eax, 34 (pause); syscall; jmp again
        Deed::Stay => &[
            0xb8, 157, 0, 0, 0, 0xbf, 1, 0, 0, 0, 0xbe, 9, 0, 0, 0, 0x0f, 0x05, //
            0xb8, 34, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7,
        ],
    }
}

#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = 183;

#[cfg(target_arch = "aarch64")]
fn code(deed: Deed) -> &'static [u8] {
    match deed {
        // mov x8, 93 (exit); mov x0, 0; svc 0
        Deed::Exit => &[0xa8, 0x0b, 0x80, 0xd2, 0, 0, 0x80, 0xd2, 0x01, 0, 0, 0xd4],
        // mov x8, 167 (prctl); mov x0, 1 (PR_SET_PDEATHSIG); mov x1, 9 (SIGKILL); svc 0;
        // again: mov x8, 73 (ppoll); mov x0, 0; mov x1, 0; mov x2, 0; mov x3, 0; svc 0; b again
        Deed::Stay => &[
            0xe8, 0x14, 0x80, 0xd2, 0x20, 0, 0x80, 0xd2, 0x21, 0x01, 0x80, 0xd2, 0x01, 0, 0, 0xd4, //
            0x28, 0x09, 0x80, 0xd2, 0, 0, 0x80, 0xd2, 0x01, 0, 0x80, 0xd2, 0x02, 0, 0x80, 0xd2, //
            0x03, 0, 0x80, 0xd2, 0x01, 0, 0, 0xd4, 0xfa, 0xff, 0xff, 0x17,
        ],
    }
}
