//! What root can do to the sensor's objects with nothing but bpf(2).

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use nix::libc;

const MAP_UPDATE_ELEM: libc::c_long = 2;
const MAP_DELETE_ELEM: libc::c_long = 3;
const OBJ_GET: libc::c_long = 7;

/// The beginning of `union bpf_attr`, as these commands read it.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    first: u64,
    second: u64,
    third: u64,
    fourth: u64,
}

fn bpf(command: libc::c_long, attributes: &mut Attributes) -> io::Result<i32> {
    let size = size_of::<Attributes>();
    #[expect(unsafe_code, reason = "a system call that the C library has no function for")]
    // SAFETY: the kernel reads `size` bytes of the attributes, and what they point to outlives the call.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), size) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer as i32) }
}

/// Opens what is pinned there.
pub(crate) fn open(pin: &Path) -> OwnedFd {
    let path = CString::new(pin.as_os_str().as_encoded_bytes()).unwrap();
    let mut attributes = Attributes { first: path.as_ptr().addr() as u64, ..Attributes::default() };
    let fd = bpf(OBJ_GET, &mut attributes).unwrap();
    #[expect(unsafe_code, reason = "a descriptor comes as a number")]
    // SAFETY: the kernel has just made it, and nobody else knows it.
    unsafe {
        OwnedFd::from_raw_fd(fd)
    }
}

/// Writes a map's element.
pub(crate) fn update(map: &OwnedFd, key: &[u8], value: &[u8]) {
    let mut attributes = Attributes {
        first: map.as_raw_fd() as u64,
        second: key.as_ptr().addr() as u64,
        third: value.as_ptr().addr() as u64,
        fourth: 0,
    };
    bpf(MAP_UPDATE_ELEM, &mut attributes).unwrap();
}

/// Removes a map's element.
pub(crate) fn delete(map: &OwnedFd, key: &[u8]) {
    let mut attributes = Attributes {
        first: map.as_raw_fd() as u64,
        second: key.as_ptr().addr() as u64,
        ..Attributes::default()
    };
    bpf(MAP_DELETE_ELEM, &mut attributes).unwrap();
}

/// Where the map of this name is pinned.
pub(crate) fn pin_of(folder: &Path, map: &str) -> PathBuf {
    let pins = fs::read_dir(folder).unwrap().map(|pin| pin.unwrap().path());
    let is_it = |pin: &PathBuf| {
        let name = pin.file_name().unwrap().to_string_lossy().into_owned();
        name.rsplit_once('-').is_some_and(|(name, _)| name == map)
    };
    pins.into_iter().find(is_it).unwrap_or_else(|| panic!("no pin of the map {map}"))
}
