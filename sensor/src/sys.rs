//! The one place for `unsafe` in this crate.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::libc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Waits for a descriptor of its own to become readable. Must be called within a tokio runtime.
///
/// # Errors
/// When the descriptor cannot be waited for.
#[expect(unsafe_code, reason = "tokio asks the caller to vouch for the descriptor")]
pub(crate) fn readable(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd is open, is closed only when it is dropped, and always gives the same
    // number; AsyncFd owns it and hands out no means of replacing it that this crate uses.
    unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }.map_err(io::Error::from)
}

/// Gives memory that is free, but lies between pieces in use, back to the kernel: loading programs takes
/// some 10 MB for a moment, and a table that grows or shrinks leaves holes. Does nothing with a C library that cannot.
pub(crate) fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "a call of the C library")]
    // SAFETY: malloc_trim takes no pointer and may be called at any time, from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Waits until every part of the kernel that reads without locks has come to its end (an RCU grace period): runs of BPF programs
/// that are not sleepable too. Takes 5 to 20 ms.
///
/// # Errors
/// When the kernel does not offer it: it was built without membarrier(2), or boots with `nohz_full`.
pub(crate) fn wait_for_rcu() -> io::Result<()> {
    #[expect(unsafe_code, reason = "a system call that the C library has no function for")]
    // SAFETY: membarrier takes three numbers and no pointer.
    let answer = unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_GLOBAL, 0, 0) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `BPF_CGROUP_SYSCTL` of include/uapi/linux/bpf.h.
pub(crate) const CGROUP_SYSCTL: u32 = 18;

/// Attaches a BPF program to a control group by a link, and pins that: `BPF_LINK_CREATE` (since 5.7) and `BPF_OBJ_PIN` of bpf(2),
/// for programs of whose links aya cannot give the descriptor.
pub(crate) fn pin_cgroup_link(
    program: BorrowedFd<'_>,
    cgroup: BorrowedFd<'_>,
    attach_type: u32,
    at: &Path,
) -> io::Result<()> {
    const BPF_OBJ_PIN: libc::c_int = 6;
    const BPF_LINK_CREATE: libc::c_int = 28;
    let create = [program.as_raw_fd() as u32, cgroup.as_raw_fd() as u32, attach_type, 0];
    let at = CString::new(at.as_os_str().as_bytes())?;
    let call = |command: libc::c_int, attr: *const u8, len: usize| -> io::Result<libc::c_long> {
        #[expect(unsafe_code, reason = "a system call that the C library has no function for")]
        // SAFETY: both structures are as long as said, and they and the path live through the call.
        let answer = unsafe { libc::syscall(libc::SYS_bpf, command, attr, len) };
        if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
    };
    let link = call(BPF_LINK_CREATE, create.as_ptr().cast(), size_of_val(&create))?;
    #[expect(unsafe_code, reason = "the kernel has just given it to us")]
    // SAFETY: nobody else knows the descriptor.
    let link = unsafe { OwnedFd::from_raw_fd(link as i32) };
    let pin = [at.as_ptr() as u64, link.as_raw_fd() as u64];
    call(BPF_OBJ_PIN, pin.as_ptr().cast(), size_of_val(&pin)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_waited_for() {
        match wait_for_rcu() {
            Ok(()) => {}
            Err(error) => {
                assert!(matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL)), "{error}")
            }
        }
    }
}
