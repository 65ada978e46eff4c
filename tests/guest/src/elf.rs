//! Programs of a few bytes, made from machine code (this architecture's, and i386): they do one thing, need nothing, and start
//! at once.

/// Where a 64-bit program is loaded.
const BASE_64: u64 = 0x40_0000;
/// Where a 32-bit program is loaded.
const BASE_32: u32 = 0x0804_8000;

/// The dynamic loader of this architecture.
pub(crate) const LOADER: &str =
    if cfg!(target_arch = "x86_64") { "/lib64/ld-linux-x86-64.so.2" } else { "/lib/ld-linux-aarch64.so.1" };

const EHDR_64: u64 = 64;
const PHDR_64: u64 = 56;
const EHDR_32: u32 = 52;
const PHDR_32: u32 = 32;

const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;
const EM_386: u16 = 3;
/// `EM_X86_64`, `EM_AARCH64`.
const EM_64: u16 = if cfg!(target_arch = "x86_64") { 62 } else { 183 };
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const PT_GNU_STACK: u32 = 0x6474_e551;
const READ: u32 = 4;
const READ_EXECUTE: u32 = 5;
const READ_WRITE: u32 = 6;
const READ_WRITE_EXECUTE: u32 = 7;

/// A program that ends with this code.
pub(crate) fn exiting(code: u8) -> Vec<u8> {
    let code = exit_64(code);
    let size = EHDR_64 + PHDR_64 + code.len() as u64;
    let load = phdr_64(PT_LOAD, READ_EXECUTE, 0, BASE_64, size);
    [ehdr_64(ET_EXEC, BASE_64 + EHDR_64 + PHDR_64, 1), load, code].concat()
}

/// The same for a dynamic loader, which the program names as its own: it would execute any other one anew.
pub(crate) fn loadable(code: u8) -> Vec<u8> {
    const DT_STRTAB: u64 = 5;
    const DT_SYMTAB: u64 = 6;
    const DT_STRSZ: u64 = 10;
    const DT_SYMENT: u64 = 11;
    let code = exit_64(code);
    let mut loader = [LOADER.as_bytes(), &[0]].concat();
    // Code stands at multiples of four.
    loader.resize(loader.len().next_multiple_of(4), 0);
    let name = EHDR_64 + 4 * PHDR_64;
    let entry = name + loader.len() as u64;
    // A string table of one empty string; symbols that nobody looks up.
    let strings = entry + code.len() as u64;
    let dynamic = (strings + 1).next_multiple_of(8);
    let tags = [(DT_STRTAB, strings), (DT_SYMTAB, strings), (DT_STRSZ, 1), (DT_SYMENT, 24), (0, 0)];
    let tags: Vec<u8> =
        tags.iter().flat_map(|(tag, value)| [tag.to_le_bytes(), value.to_le_bytes()]).flatten().collect();
    let size = dynamic + tags.len() as u64;
    let mut file = [
        ehdr_64(ET_DYN, entry, 4),
        phdr_64(PT_INTERP, READ, name, name, loader.len() as u64),
        phdr_64(PT_LOAD, READ_WRITE_EXECUTE, 0, 0, size),
        phdr_64(PT_DYNAMIC, READ_WRITE_EXECUTE, dynamic, dynamic, tags.len() as u64),
        // The loader would make the stack executable without it.
        phdr_64(PT_GNU_STACK, READ_WRITE, 0, 0, 0),
        loader,
        code,
    ]
    .concat();
    file.resize(dynamic as usize, 0);
    [file, tags].concat()
}

/// A 32-bit program that ends with this code.
pub(crate) fn exiting_32(code: u8) -> Vec<u8> {
    program_32(&exit_32(code))
}

/// A 32-bit program that becomes another one, through `int 0x80`.
pub(crate) fn executing_32(path: &[u8]) -> Vec<u8> {
    // mov eax, 11 (execve); mov ebx, path; mov ecx, argv; xor edx, edx; int 0x80
    const CODE: u32 = 5 + 5 + 5 + 2 + 2;
    let failed = exit_32(111);
    let argv = BASE_32 + EHDR_32 + PHDR_32 + CODE + failed.len() as u32;
    let name = argv + 8;
    let mut code = vec![0xb8, 11, 0, 0, 0, 0xbb];
    code.extend(name.to_le_bytes());
    code.push(0xb9);
    code.extend(argv.to_le_bytes());
    code.extend([0x31, 0xd2, 0xcd, 0x80]);
    code.extend(failed);
    code.extend(name.to_le_bytes());
    code.extend([0; 4]);
    code.extend(path);
    code.push(0);
    program_32(&code)
}

/// mov edi, code; mov eax, 231 (exit_group); syscall
#[cfg(target_arch = "x86_64")]
fn exit_64(code: u8) -> Vec<u8> {
    vec![0xbf, code, 0, 0, 0, 0xb8, 231, 0, 0, 0, 0x0f, 0x05]
}

/// mov x0, code; mov x8, 94 (exit_group); svc 0
#[cfg(not(target_arch = "x86_64"))]
fn exit_64(code: u8) -> Vec<u8> {
    [0xd280_0000 | u32::from(code) << 5, 0xd280_0008 | 94 << 5, 0xd400_0001].map(u32::to_le_bytes).concat()
}

/// mov ebx, code; mov eax, 252 (exit_group); int 0x80
fn exit_32(code: u8) -> Vec<u8> {
    vec![0xbb, code, 0, 0, 0, 0xb8, 252, 0, 0, 0, 0xcd, 0x80]
}

fn program_32(code: &[u8]) -> Vec<u8> {
    let size = EHDR_32 + PHDR_32 + code.len() as u32;
    let mut file = ident(1);
    file.extend(ET_EXEC.to_le_bytes());
    file.extend(EM_386.to_le_bytes());
    for word in [1, BASE_32 + EHDR_32 + PHDR_32, EHDR_32, 0, 0] {
        file.extend(u32::to_le_bytes(word));
    }
    for half in [EHDR_32 as u16, PHDR_32 as u16, 1, 0, 0, 0] {
        file.extend(u16::to_le_bytes(half));
    }
    for word in [PT_LOAD, 0, BASE_32, BASE_32, size, size, READ_EXECUTE, 0x1000] {
        file.extend(u32::to_le_bytes(word));
    }
    file.extend(code);
    file
}

/// Class 1 is 32-bit, class 2 is 64-bit; little endian.
fn ident(class: u8) -> Vec<u8> {
    let mut ident = b"\x7fELF".to_vec();
    ident.extend([class, 1, 1]);
    ident.resize(16, 0);
    ident
}

fn ehdr_64(kind: u16, entry: u64, n_segments: u16) -> Vec<u8> {
    let mut header = ident(2);
    header.extend(kind.to_le_bytes());
    header.extend(EM_64.to_le_bytes());
    header.extend(1u32.to_le_bytes());
    for place in [entry, EHDR_64, 0] {
        header.extend(u64::to_le_bytes(place));
    }
    header.extend(0u32.to_le_bytes());
    for half in [EHDR_64 as u16, PHDR_64 as u16, n_segments, 0, 0, 0] {
        header.extend(u16::to_le_bytes(half));
    }
    header
}

fn phdr_64(kind: u32, flags: u32, offset: u64, address: u64, size: u64) -> Vec<u8> {
    let mut header = [kind.to_le_bytes(), flags.to_le_bytes()].concat();
    for word in [offset, address, address, size, size, 0x1000] {
        header.extend(u64::to_le_bytes(word));
    }
    header
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::process::Command;

    use super::*;

    fn code_of(folder: &Path, file: &[u8], before: &[&str]) -> Option<i32> {
        let path = folder.join("program");
        std::fs::write(&path, file).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut words: Vec<_> = before.iter().map(std::ffi::OsString::from).collect();
        words.push(path.into());
        Command::new(words.remove(0)).args(words).status().unwrap().code()
    }

    #[test]
    fn programs_run_and_end() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(code_of(folder.path(), &exiting(7), &[]), Some(7));
        if Path::new(LOADER).exists() {
            assert_eq!(code_of(folder.path(), &loadable(8), &[LOADER]), Some(8));
        }
    }
}
