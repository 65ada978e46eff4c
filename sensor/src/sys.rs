//! The one place for `unsafe` in this crate.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::libc;
use nix::sched::{CloneFlags, clone};
use nix::sys::wait::waitpid;
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

/// Some entries of a hash map of the kernel's: one key and one value behind the other.
#[derive(Debug)]
pub(crate) struct MapPart {
    keys: Vec<u8>,
    values: Vec<u8>,
    sizes: (usize, usize),
    n_entries: usize,
    /// Where to read on; at the end there is nothing.
    next: Option<u32>,
}

/// As the kernel's `bpf_attr` has it for BPF_MAP_LOOKUP_BATCH (Linux 5.6).
#[repr(C)]
struct BatchAttr {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

impl MapPart {
    /// Room for so many entries of keys and values of these sizes, which must be the map's own. One part of the map that the
    /// kernel does not divide (a bucket) must fit.
    pub(crate) fn new(sizes: (usize, usize), n_entries: usize) -> Self {
        Self {
            keys: vec![0; sizes.0 * n_entries],
            values: vec![0; sizes.1 * n_entries],
            sizes,
            n_entries: 0,
            next: None,
        }
    }

    /// Reads the map's first entries, or those after the last ones. Whether there may be more.
    ///
    /// # Errors
    /// When the kernel refuses, or `sizes` are not those of this map.
    pub(crate) fn read(&mut self, map: BorrowedFd<'_>, sizes: (u32, u32)) -> io::Result<bool> {
        const BPF_MAP_LOOKUP_BATCH: libc::c_long = 24;
        if (sizes.0 as usize, sizes.1 as usize) != self.sizes {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        let (from, mut to) = (self.next.unwrap_or_default(), 0_u32);
        let mut attr = BatchAttr {
            in_batch: self.next.map_or(0, |_| (&raw const from) as u64),
            out_batch: (&raw mut to) as u64,
            keys: self.keys.as_mut_ptr() as u64,
            values: self.values.as_mut_ptr() as u64,
            count: (self.keys.len() / self.sizes.0.max(1)) as u32,
            map_fd: map.as_raw_fd() as u32,
            elem_flags: 0,
            flags: 0,
        };
        #[expect(unsafe_code, reason = "a system call that the library for BPF has no function for")]
        // SAFETY: the kernel writes at most `count` keys and values of the map's sizes, for which there is room, and a position of
        // four bytes, as it does for hash maps; all of it lives through the call.
        let answer = unsafe {
            libc::syscall(libc::SYS_bpf, BPF_MAP_LOOKUP_BATCH, &raw mut attr, size_of::<BatchAttr>())
        };
        let error = (answer != 0).then(io::Error::last_os_error);
        let ended = match error {
            None => false,
            Some(error) if error.raw_os_error() == Some(libc::ENOENT) => true,
            Some(error) => return Err(error),
        };
        (self.n_entries, self.next) = (attr.count as usize, (!ended).then_some(to));
        Ok(!ended)
    }

    /// What was read last.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let (key, value) = (self.sizes.0.max(1), self.sizes.1.max(1));
        self.keys.chunks_exact(key).zip(self.values.chunks_exact(value)).take(self.n_entries)
    }
}

/// A process that is born and ends at once, without a program of its own; gives the pid it had. Takes some 50 µs: it borrows
/// this process's memory, and the calling thread waits until it has given it back.
///
/// # Errors
/// When the kernel makes no process.
pub(crate) fn short_life() -> io::Result<u32> {
    let mut stack = vec![0; 64 << 10];
    let flags = CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK;
    #[expect(unsafe_code, reason = "what the child may do depends on the parent's other threads")]
    // SAFETY: the child takes no lock and touches nothing but its stack, which lives until the child has ended, as with
    // CLONE_VFORK this thread goes on only then.
    let child = unsafe { clone(Box::new(|| 0), &mut stack, flags, Some(libc::SIGCHLD)) }?;
    waitpid(child, None)?;
    Ok(child.as_raw().cast_unsigned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_short_life_is_over_when_it_is_told() {
        let (one, other) = (short_life().unwrap(), short_life().unwrap());
        assert_ne!(one, other);
        assert_eq!(waitpid(nix::unistd::Pid::from_raw(other.cast_signed()), None), Err(nix::Error::ECHILD));
    }

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
