//! System calls that no safe wrapper makes: the one place for `unsafe` in this crate.
#![expect(unsafe_code, reason = "raw system calls are what this crate is for")]

use std::ffi::{CStr, CString, c_long};
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use io_uring::{IoUring, squeue, types};
use nix::libc;
use nix::sched::CloneFlags;
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use nix::unistd::{ForkResult, Pid};

/// What a child does: its exit code, or why it could not.
pub(crate) trait Task: FnOnce() -> anyhow::Result<u8> {}
impl<F: FnOnce() -> anyhow::Result<u8>> Task for F {}

/// fork(2).
pub(crate) fn fork(task: impl Task) -> io::Result<Pid> {
    // SAFETY: players have one thread, so the child may do whatever its parent may.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => end(task),
    }
}

/// vfork(2), as the kernel has it: the child borrows the parent's memory, and the parent sleeps until it executes or ends.
pub(crate) fn vfork(task: impl Task) -> io::Result<Pid> {
    let mut stack = vec![0; 256 << 10];
    let mut task = Some(task);
    let child = Box::new(|| task.take().map_or(102, |task| run(task)) as isize);
    // SAFETY: the child has a stack of its own, and the parent does nothing until the child is done with its memory.
    let pid = unsafe {
        nix::sched::clone(
            child,
            &mut stack,
            CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK,
            Some(libc::SIGCHLD),
        )
    };
    Ok(pid?)
}

/// clone3(2) with these flags, none of which shares memory, and into a control group if one is given.
pub(crate) fn clone3(flags: u64, group: Option<BorrowedFd<'_>>, task: impl Task) -> io::Result<Pid> {
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    assert!(
        flags & (libc::CLONE_VM | libc::CLONE_THREAD) as u64 == 0,
        "the child would use its parent's stack"
    );
    // flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup
    let mut args = [0u64; 11];
    // A child that is its parent's sibling tells its end as its parent would: the signal is not for us to say.
    let [given, _, _, _, signal, .., cgroup] = &mut args;
    (*given, *cgroup) = match group {
        Some(fd) => (flags | CLONE_INTO_CGROUP, fd.as_raw_fd() as u64),
        None => (flags, 0),
    };
    if flags & libc::CLONE_PARENT as u64 == 0 {
        *signal = libc::SIGCHLD as u64;
    }
    // SAFETY: the structure is as long as said and lives through the call; without CLONE_VM it is as fork().
    match unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of_val(&args)) } {
        0 => end(task),
        found => Ok(Pid::from_raw(checked(found)? as i32)),
    }
}

fn run(task: impl Task) -> u8 {
    task().unwrap_or_else(|error| {
        eprintln!("a child could not: {error:#}");
        101
    })
}

fn end(task: impl Task) -> ! {
    let code = run(task);
    // SAFETY: it does not return and touches no memory.
    unsafe { libc::_exit(code.into()) }
}

/// Ends this thread alone, with a code that counts when it is the first thread of its process.
pub(crate) fn end_thread(code: i32) -> ! {
    // SAFETY: nothing of this thread's is used by the others.
    unsafe { libc::syscall(libc::SYS_exit, code) };
    unreachable!("SYS_exit does not return")
}

/// Has io_uring do one thing, and gives its result, which is as the system call's. A number tells what the operation
/// needs, and what its pointers lead to must live: it has ended when this returns.
pub(crate) fn uring(entry: &squeue::Entry) -> io::Result<i32> {
    let mut ring = IoUring::new(4)?;
    // SAFETY: the caller's buffers outlive this call, and the operation is over at its end.
    unsafe { ring.submission().push(entry) }.map_err(io::Error::other)?;
    ring.submit_and_wait(1)?;
    let done = ring.completion().next().ok_or_else(|| io::Error::other("io_uring gave no result"))?;
    match done.result() {
        error @ ..0 => Err(io::Error::from_raw_os_error(-error)),
        found => Ok(found),
    }
}

/// Has the command's process do this before it becomes the program. Between fork and exec: numbers and system calls only.
pub(crate) fn before_exec(
    command: &mut std::process::Command,
    task: impl FnMut() -> io::Result<()> + Send + Sync + 'static,
) {
    use std::os::unix::process::CommandExt as _;
    // SAFETY: players have one thread, so the child may do whatever its parent may.
    unsafe { command.pre_exec(task) };
}

/// A page of memory that may be read, written and executed, until it is made to be read only and given back.
pub(crate) fn executable_page() -> io::Result<()> {
    let any = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new page of its own, which nobody uses.
    unsafe {
        let page = libc::mmap(std::ptr::null_mut(), 4096, any, flags, -1, 0);
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        checked(libc::munmap(page, 4096).into()).map(drop)
    }
}

/// A page of memory that is made executable after it was written to.
pub(crate) fn page_made_executable() -> io::Result<()> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new page of its own, which nobody uses.
    unsafe {
        let page = libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let made = checked(libc::mprotect(page, 4096, libc::PROT_READ | libc::PROT_EXEC).into());
        libc::munmap(page, 4096);
        made.map(drop)
    }
}

/// Loads a BPF program of this name (up to 15 bytes) that drops every packet, for sockets, and closes it: bpf(2).
pub(crate) fn load_filter(name: &str) -> io::Result<()> {
    // Until 5.11 what programs take counts as locked memory, of which few may have much; not everybody may change that.
    let _ = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY);
    const BPF_PROG_LOAD: u32 = 5;
    const SOCKET_FILTER: u32 = 1;
    // r0 = 0; exit
    let code: [u64; 2] = [0xb7, 0x95];
    let license = c"GPL";
    // type, number of instructions, instructions, license, log (level, size, buffer), version, flags, name
    let mut attr = [0u32; 18];
    let mut put = |at: usize, value: u64| {
        attr.iter_mut().skip(at).zip([value as u32, (value >> 32) as u32]).for_each(|(to, half)| *to = half);
    };
    put(0, u64::from(SOCKET_FILTER) | (code.len() as u64) << 32);
    put(2, (&raw const code) as u64);
    put(4, license.as_ptr() as u64);
    for (at, bytes) in name.as_bytes().chunks(8).take(2).enumerate() {
        let mut word = [0u8; 8];
        word.iter_mut().zip(bytes).for_each(|(to, byte)| *to = *byte);
        put(12 + 2 * at, u64::from_le_bytes(word));
    }
    // SAFETY: the structure is as long as said; it, the code and the license live through the call.
    let found = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw const attr, size_of_val(&attr)) };
    checked(found).map(|fd| drop(owned(fd as i32)))
}

/// Forgets a kernel that was loaded to be run, if one was: kexec_load(2) with no segments.
pub(crate) fn unload_kexec() -> io::Result<()> {
    const ARCHITECTURE: usize = 0;
    // SAFETY: there are no segments to be read.
    let found =
        unsafe { libc::syscall(libc::SYS_kexec_load, 0usize, 0usize, std::ptr::null::<u8>(), ARCHITECTURE) };
    checked(found).map(drop)
}

/// dup2(2).
pub(crate) fn duplicate(fd: RawFd, to: RawFd) -> io::Result<()> {
    // SAFETY: numbers only; nobody of this process owns the second one.
    checked(unsafe { libc::dup2(fd, to) }.into()).map(drop)
}

/// A descriptor that this process was born with.
pub(crate) fn borrowed(fd: RawFd) -> BorrowedFd<'static> {
    // SAFETY: whoever started this program left it open, and nobody here closes it.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// Has io_uring do one thing with a file, by a thread of the kernel's that looks for work (IORING_SETUP_SQPOLL).
pub(crate) fn uring_by_thread(
    file: RawFd,
    entry: impl FnOnce(types::Fixed) -> squeue::Entry,
) -> io::Result<i32> {
    let mut ring: IoUring = IoUring::builder().setup_sqpoll(1000).build(4)?;
    ring.submitter().register_files(&[file])?;
    // SAFETY: the caller's buffers outlive this call, and the operation is over at its end.
    unsafe { ring.submission().push(&entry(types::Fixed(0))) }.map_err(io::Error::other)?;
    ring.submit_and_wait(1)?;
    let done = ring.completion().next().ok_or_else(|| io::Error::other("io_uring gave no result"))?;
    match done.result() {
        error @ ..0 => Err(io::Error::from_raw_os_error(-error)),
        found => Ok(found),
    }
}

/// A descriptor that a system call has just given to this process.
pub(crate) fn owned(fd: i32) -> OwnedFd {
    assert!(fd > 2, "{fd} is no new descriptor");
    // SAFETY: the callers of this have it from the kernel and keep no other copy of the number.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// bpf(2): opens what is pinned there.
pub(crate) fn open_pin(path: &Path) -> io::Result<OwnedFd> {
    const BPF_OBJ_GET: c_long = 7;
    let path = CString::new(path.as_os_str().as_bytes())?;
    // pathname, then bpf_fd and file_flags
    let attributes = [path.as_ptr().addr() as u64, 0];
    // SAFETY: the attributes are as long as said, and they and the path live through the call.
    let found =
        unsafe { libc::syscall(libc::SYS_bpf, BPF_OBJ_GET, &raw const attributes, size_of_val(&attributes)) };
    Ok(owned(checked(found)? as i32))
}

/// setsockopt(2) with a number.
pub(crate) fn set_option(socket: BorrowedFd<'_>, level: i32, name: i32, value: i32) -> io::Result<()> {
    // SAFETY: the value lives through the call and is as long as said.
    let found = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), size_of::<i32>() as u32)
    };
    checked(found.into()).map(drop)
}

/// setsockopt(2) with bytes.
pub(crate) fn set_option_bytes(
    socket: BorrowedFd<'_>,
    level: i32,
    name: i32,
    value: &[u8],
) -> io::Result<()> {
    // SAFETY: the value lives through the call and is as long as said.
    let found = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, name, value.as_ptr().cast(), value.len() as u32)
    };
    checked(found.into()).map(drop)
}

/// socket(2), of any kind.
pub(crate) fn socket(family: i32, kind: i32, protocol: i32) -> io::Result<OwnedFd> {
    // SAFETY: numbers only.
    let found = unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol) };
    Ok(owned(checked(found.into())? as i32))
}

/// Ends the connection of a socket, which may then make another one: connect(2) to no family.
pub(crate) fn disconnect(socket: BorrowedFd<'_>) -> io::Result<()> {
    let nowhere = libc::sockaddr { sa_family: libc::AF_UNSPEC as u16, sa_data: [0; 14] };
    // SAFETY: the address lives through the call and is as long as said.
    let found =
        unsafe { libc::connect(socket.as_raw_fd(), &raw const nowhere, size_of_val(&nowhere) as u32) };
    checked(found.into()).map(drop)
}

/// Brings up the loopback interface of this process's network namespace.
pub(crate) fn loopback_up() -> io::Result<()> {
    // SAFETY: numbers only.
    let socket =
        checked(unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) }.into())?;
    let socket = owned(socket as i32);
    // SAFETY: an interface request of zeros is a valid one.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name.iter_mut().zip(b"lo").for_each(|(to, from)| *to = *from as libc::c_char);
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    // SAFETY: the call reads the request, which has the interface's name and the flags.
    let found = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    checked(found.into()).map(drop)
}

/// splice(2): moves bytes without a copy of them in this process.
pub(crate) fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>, n_bytes: usize) -> io::Result<usize> {
    let null = std::ptr::null_mut();
    // SAFETY: numbers only; no offsets are given.
    let found = unsafe { libc::splice(from.as_raw_fd(), null, to.as_raw_fd(), null, n_bytes, 0) };
    Ok(checked(found as c_long)? as usize)
}

/// A copy of another process's descriptor (pidfd_getfd(2), Linux 5.6).
pub(crate) fn take_descriptor(pid: u32, fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: numbers only.
    let pidfd = checked(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    let pidfd = owned(pidfd as i32);
    // SAFETY: numbers only.
    let taken = checked(unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), fd, 0) })?;
    Ok(owned(taken as i32))
}

/// A tmpfs that is mounted nowhere: fsopen(2), fsconfig(2), fsmount(2), Linux 5.2.
pub(crate) fn detached_tmpfs() -> io::Result<OwnedFd> {
    const FSCONFIG_CMD_CREATE: i32 = 6;
    // SAFETY: a text with NUL at its end, and numbers.
    let context = checked(unsafe { libc::syscall(libc::SYS_fsopen, c"tmpfs".as_ptr(), 0) })?;
    let context = owned(context as i32);
    let null = std::ptr::null::<u8>();
    // SAFETY: this command takes no pointers.
    checked(unsafe {
        libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), FSCONFIG_CMD_CREATE, null, null, 0)
    })?;
    // SAFETY: numbers only.
    let mount = checked(unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), 0, 0) })?;
    Ok(owned(mount as i32))
}

/// What 32-bit programs call through `int 0x80` to do with sockets: socketcall(2). Gives a new descriptor. Its number tells
/// which call it is: 1 is socket(2), 5 is accept(2).
#[cfg(target_arch = "x86_64")]
pub(crate) fn socketcall(call: usize, arguments: [u32; 3]) -> io::Result<OwnedFd> {
    const SYS_SOCKETCALL: c_long = 102;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT;
    // SAFETY: a new page of its own, at an address that fits into 32 bits.
    let page = unsafe {
        let page = libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        page.cast::<[u32; 3]>().write(arguments);
        page
    };
    let mut found = SYS_SOCKETCALL;
    // SAFETY: the call reads three words at the address; rbx, which the compiler keeps for itself, is put back.
    unsafe {
        std::arch::asm!(
            "xchg rbx, {call}",
            "int 0x80",
            "xchg rbx, {call}",
            call = inout(reg) call => _,
            inout("rax") found,
            in("rcx") page,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
        libc::munmap(page, 4096);
    }
    let found = i64::from(found as i32);
    if found < 0 { Err(io::Error::from_raw_os_error(-found as i32)) } else { Ok(owned(found as i32)) }
}

/// A mount for this descriptor, which is mounted nowhere yet: open_tree(2) of a path, Linux 5.2.
pub(crate) fn copy_of_mount(path: &CStr) -> io::Result<OwnedFd> {
    const OPEN_TREE_CLONE: u32 = 1;
    let flags = OPEN_TREE_CLONE | libc::O_CLOEXEC as u32;
    // SAFETY: a text with NUL at its end, and numbers.
    let mount = checked(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) })?;
    Ok(owned(mount as i32))
}

/// Mounts at a path what a descriptor leads to: move_mount(2), Linux 5.2.
pub(crate) fn move_mount(mount: BorrowedFd<'_>, to: &CStr) -> io::Result<()> {
    const MOVE_MOUNT_F_EMPTY_PATH: u32 = 4;
    let (from, empty, flags) = (mount.as_raw_fd(), c"".as_ptr(), MOVE_MOUNT_F_EMPTY_PATH);
    // SAFETY: texts with NUL at their end, and numbers.
    let found =
        unsafe { libc::syscall(libc::SYS_move_mount, from, empty, libc::AT_FDCWD, to.as_ptr(), flags) };
    checked(found).map(drop)
}

/// Opens a file of a directory to be read by its handle: name_to_handle_at(2), open_by_handle_at(2).
pub(crate) fn open_by_handle(folder: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    const BYTES: u32 = 128;
    #[repr(C)]
    struct Handle {
        n_bytes: u32,
        kind: i32,
        bytes: [u8; BYTES as usize],
    }
    let mut handle = Handle { n_bytes: BYTES, kind: 0, bytes: [0; BYTES as usize] };
    let (at, mut mount) = (folder.as_raw_fd(), 0i32);
    // SAFETY: both live through the call, and the handle tells how long it is.
    let found = unsafe {
        let (handle, mount) = (&raw mut handle, &raw mut mount);
        libc::syscall(libc::SYS_name_to_handle_at, at, name.as_ptr(), handle, mount, 0)
    };
    checked(found)?;
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: the handle lives through the call.
    let found = unsafe { libc::syscall(libc::SYS_open_by_handle_at, at, &raw const handle, flags) };
    Ok(owned(checked(found)? as i32))
}

/// setxattr(2).
pub(crate) fn set_attribute(path: &CStr, name: &CStr, value: &[u8]) -> io::Result<()> {
    // SAFETY: texts with NUL at their end, and bytes that are as many as said.
    let found =
        unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0) };
    checked(found.into()).map(drop)
}

/// Sends a signal by pidfd_send_signal(2), Linux 5.1.
pub(crate) fn signal_by_pidfd(pid: Pid, signal: i32) -> io::Result<()> {
    let pidfd = pidfd(pid)?;
    let info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: numbers, and no information.
    let found = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, info, 0) };
    checked(found).map(drop)
}

/// Sends a signal to a thread: tgkill(2).
pub(crate) fn signal_thread(process: Pid, thread: Pid, signal: i32) -> io::Result<()> {
    // SAFETY: numbers only.
    let found = unsafe { libc::syscall(libc::SYS_tgkill, process.as_raw(), thread.as_raw(), signal) };
    checked(found).map(drop)
}

/// Sends a signal with a number: sigqueue(3), by rt_sigqueueinfo(2).
pub(crate) fn queue_signal(pid: Pid, signal: i32) -> io::Result<()> {
    let none = libc::sigval { sival_ptr: std::ptr::null_mut() };
    // SAFETY: numbers only.
    checked(unsafe { libc::sigqueue(pid.as_raw(), signal, none) }.into()).map(drop)
}

/// Gives up all capabilities but these: capset(2).
pub(crate) fn keep_capabilities(kept: u64) -> io::Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let (low, high) = (kept as u32, (kept >> 32) as u32);
    // Effective, permitted and inheritable ones, of the lower 32 and then of the upper 32.
    let sets = [low, low, 0, high, high, 0];
    // SAFETY: both are as version 3 has them, and live through the call.
    checked(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) }).map(drop)
}

/// setfsuid(2): as whom this process acts on files.
pub(crate) fn act_on_files_as(uid: u32) {
    // SAFETY: numbers only.
    unsafe { libc::setfsuid(uid) };
}

/// Loads a kernel module from its file: finit_module(2).
pub(crate) fn load_module(file: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: a text with NUL at its end, and numbers.
    checked(unsafe { libc::syscall(libc::SYS_finit_module, file.as_raw_fd(), c"".as_ptr(), 0) }).map(drop)
}

/// Maps a file to be changed through memory, and puts a byte into its beginning.
pub(crate) fn write_through_memory(file: BorrowedFd<'_>, byte: u8) -> io::Result<()> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping of its own, of a file that has at least a byte.
    unsafe {
        let page = libc::mmap(std::ptr::null_mut(), 4096, protection, libc::MAP_SHARED, file.as_raw_fd(), 0);
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        page.cast::<u8>().write_volatile(byte);
        libc::munmap(page, 4096);
    }
    Ok(())
}

fn pidfd(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: numbers only.
    let found = checked(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })?;
    Ok(owned(found as i32))
}

/// A system call with all of its registers given.
pub(crate) fn call(number: c_long, given: [c_long; 6]) -> io::Result<c_long> {
    let [a, b, c, d, e, f] = given;
    // SAFETY: those that are made so take numbers, and a null pointer where they write.
    checked(unsafe { libc::syscall(number, a, b, c, d, e, f) })
}

/// What a 32-bit system call is given.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) enum Given<'a> {
    Number(u32),
    /// Bytes, to which it is given a pointer.
    Bytes(&'a [u8]),
}

/// A system call as 32-bit programs make it, through `int 0x80`; without 32-bit programs in the kernel it ends this one.
#[cfg(target_arch = "x86_64")]
pub(crate) fn thirty_two(number: u32, given: [Given<'_>; 3]) -> io::Result<i32> {
    const EACH: usize = 4096;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT;
    let (protection, all) = (libc::PROT_READ | libc::PROT_WRITE, EACH * given.len());
    // SAFETY: new pages of its own, at an address that fits into 32 bits.
    let pages = unsafe { libc::mmap(std::ptr::null_mut(), all, protection, flags, -1, 0) };
    if pages == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let mut words = [0u64; 3];
    for (n, (word, given)) in words.iter_mut().zip(given).enumerate() {
        *word = match given {
            Given::Number(number) => number.into(),
            Given::Bytes(bytes) => {
                assert!(bytes.len() < EACH, "{} bytes do not fit", bytes.len());
                let page = pages.wrapping_byte_add(n * EACH).cast::<u8>();
                // SAFETY: the page is this call's own, and long enough.
                unsafe { page.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
                page as u64
            }
        };
    }
    let [first, second, third] = words;
    let mut found = u64::from(number);
    // SAFETY: what the call is given lives through it; rbx, which the compiler keeps for itself, is put back.
    unsafe {
        std::arch::asm!(
            "xchg rbx, {first}",
            "int 0x80",
            "xchg rbx, {first}",
            first = inout(reg) first => _,
            inout("rax") found,
            in("rcx") second,
            in("rdx") third,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
        libc::munmap(pages, all);
    }
    let found = found as i32;
    if found < 0 { Err(io::Error::from_raw_os_error(-found)) } else { Ok(found) }
}

/// What libc's syscall() gives back: the number, or the error.
fn checked(found: c_long) -> io::Result<c_long> {
    if found < 0 { Err(io::Error::last_os_error()) } else { Ok(found) }
}
