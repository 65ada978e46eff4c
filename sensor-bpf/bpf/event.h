/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The contract: everything that crosses between the kernel's programs and the sensor, and
 * nothing else. Fixed-width types, no implicit padding, limits as macros. The sensor's Rust
 * mirror is generated from this file.
 */
#ifndef VEDETTE_EVENT_H
#define VEDETTE_EVENT_H

#include <linux/types.h>

#define EVENT_PATH_MAX 4096	/* bytes of any path */
#define EVENT_ARGS_MAX 16384	/* bytes of arguments that are carried */
#define EVENT_TTY_MAX 64	/* bytes of a terminal's name */
#define EVENT_IDENTITY_BYTES 32	/* a digest of object and configuration */

/* Which ring a record travels in. */
enum event_class {
	EVENT_CLASS_PROCESS = 0,
	EVENT_CLASS_BULK = 1,
	EVENT_CLASS_FILE = 2,
	EVENT_N_CLASSES = 3,
};

/* What a record is. */
enum event_kind {
	EVENT_FORK = 1,
	EVENT_IMAGE = 2,
	EVENT_EXIT = 3,
	EVENT_CONNECTION = 4,
	EVENT_CLOSE = 5,
	EVENT_FILE = 6,
	EVENT_TARGET = 7,
	EVENT_KERNEL = 8,
	EVENT_NAMESPACES = 9,
	EVENT_CREDENTIALS = 10,
	EVENT_SETTING = 20,
	EVENT_MEMORY = 21,
	EVENT_MADE = 11,
	EVENT_DNS = 14,
	EVENT_POPULATED = 16,
	EVENT_TOUCH = 18,
	EVENT_CALL = 22,
};

/* Every record starts with this, whatever version it is of. */
struct event_header {
	__u32 size;	/* of the whole record, this header included */
	__u16 kind;	/* enum event_kind */
	__u16 class_;	/* enum event_class */
	__u32 cpu;	/* the sequence's owner: the CPU, with its nesting level << 16 before 5.12 */
	__u32 reserved;
	__u64 seq;	/* number in the sequence of (class, cpu), taken before the ring is asked */
	__u64 time_ns;	/* boot clock */
};

/* A process: lasting identity, and which of its images. */
struct event_task {
	__u64 start_ns;	/* start_boottime of the thread-group leader */
	__u32 tgid;
	__u32 image;	/* self_exec_id */
};

struct event_fork {
	struct event_header header;
	struct event_task child;
	struct event_task parent;
	__u64 cgroup_id;	/* of the child */
};

/* Bits of event_image.flags. */
#define EVENT_IMAGE_EXECUTED (1 << 0)	/* just executed; else found running */
#define EVENT_IMAGE_TRUNCATED (1 << 1)	/* something below was cut or could not be read */
#define EVENT_IMAGE_DELETED (1 << 2)
#define EVENT_IMAGE_MEMFD (1 << 3)
#define EVENT_IMAGE_WRITABLE_MOUNT (1 << 4)
#define EVENT_IMAGE_KERNEL_THREAD (1 << 5)

/* What a standard descriptor is. */
enum event_stdio {
	EVENT_STDIO_OTHER = 0,
	EVENT_STDIO_TTY = 1,
	EVENT_STDIO_FILE = 2,
	EVENT_STDIO_PIPE = 3,
	EVENT_STDIO_SOCKET = 4,
	EVENT_STDIO_NULL = 5,
};

/*
 * An image. After the fixed part come, without separators, executable, cwd, script, cgroup, tty
 * and args, each as long as its *_len says.
 */
struct event_image {
	struct event_header header;
	struct event_task task;
	struct event_task parent;
	__u64 args_bytes;	/* true length */
	__u64 args_count;	/* true number */
	__u64 capabilities;	/* effective */
	__u64 inode;
	__u64 device;		/* the kernel's dev_t: major << 20 | minor */
	__u64 size;		/* of the executable */
	__s64 changed_ns;	/* when the executable was changed last (ctime), since 1970 */
	__u64 cgroup_id;
	__u32 uid;
	__u32 euid;
	__u32 egid;
	__u32 loginuid;
	__u32 session;
	__u32 mnt_ns;
	__u32 pid_ns;
	__u32 net_ns;
	__u32 user_ns;
	__u32 flags;
	__u8 stdio[4];		/* enum event_stdio of descriptors 0, 1, 2; the last is unused */
	__u32 args_len;
	__u16 executable_len;
	__u16 cwd_len;
	__u16 script_len;
	__u16 cgroup_len;
	__u16 tty_len;
	__u16 reserved[3];
};

struct event_exit {
	struct event_header header;
	struct event_task task;
	__u64 duration_ns;
	__u32 status;	/* as wait(2) gives it: code << 8 | signal */
	__u32 reserved;
};

/* What a process did to a connection. */
enum event_role {
	EVENT_ROLE_CONNECT = 1,
	EVENT_ROLE_ACCEPT = 2,
	EVENT_ROLE_SERVE = 3,
	EVENT_ROLE_LISTEN = 4,	/* only `destination` is known */
	EVENT_ROLE_BIND = 5,	/* likewise */
	EVENT_ROLE_SEND = 6,	/* sent a datagram to a peer that is new to the socket */
};

/* A socket. "Source" is the side that opened the connection, wherever this host stands. */
struct event_socket {
	__u64 cookie;
	__u8 source_addr[16];	/* IPv4 as ::ffff:a.b.c.d */
	__u8 destination_addr[16];
	__u16 source_port;	/* host byte order */
	__u16 destination_port;
	__u32 source_isn;	/* TCP only */
	__u32 destination_isn;
	__u32 protocol;		/* IPPROTO_* */
};

struct event_connection {
	struct event_header header;
	struct event_task task;
	struct event_task accepted_by;	/* zero unless another process serves */
	struct event_socket socket;
	__u32 role;	/* enum event_role */
	__u32 failed;	/* not made: `error` says why, or is 0 when the caller gave up; the initial numbers mean nothing */
	__u32 error;	/* errno */
	__u32 many;	/* the other end stands for all further peers of a socket that had too many */
};

/* A socket was made that can send or see more than streams and datagrams. */
struct event_made {
	struct event_header header;
	struct event_task task;
	__u64 cookie;	/* 0: it has none yet */
	__u32 family;	/* AF_* */
	__u32 type;	/* SOCK_* */
	__u32 protocol;	/* IPPROTO_*; of AF_PACKET the EtherType */
	__u32 reserved;
};

struct event_close {
	struct event_header header;
	struct event_task task;
	struct event_socket socket;
	__u64 source_bytes;
	__u64 destination_bytes;
	__u64 source_packets;	/* of TCP: segments, those without data and those sent again too */
	__u64 destination_packets;
	__u32 role;	/* what this end had done */
	__u32 many;	/* as in event_connection */
};

/*
 * Datagrams between a socket and one peer, as they are counted while they come. The sensor looks which have ended, and
 * has the kernel tell so.
 */
#define EVENT_FLOWS 32768
#define EVENT_FLOW_TO_MANY 1
#define EVENT_FLOW_FROM_MANY 2

struct event_flow_key {
	__u64 cookie;
	__u8 addr[16];	/* of the peer; all zeros: of all others, */
	__u16 port;	/* and this is EVENT_FLOW_TO_MANY or EVENT_FLOW_FROM_MANY */
	__u16 reserved[3];
};

struct event_flow {
	struct event_task task;	/* zero: nobody is known to have the socket */
	struct event_socket socket;
	__u64 sk;
	__u64 last_ns;
	__u64 sent_packets;
	__u64 sent_bytes;
	__u64 received_packets;
	__u64 received_bytes;
	__u32 role;	/* enum event_role: what the process did */
	__u32 served;	/* somebody has read or answered; else who does so first is told */
	__u32 wanted;	/* records of the process are to be made */
	__u32 many;	/* as in event_connection */
};

/* What was done to a file: the numbers of wire::event::Kind. */
enum event_file_action {
	EVENT_FILE_OPEN = 40,
	EVENT_FILE_CREATE = 41,
	EVENT_FILE_UNLINK = 42,
	EVENT_FILE_RENAME = 43,
	EVENT_FILE_LINK = 44,
	EVENT_FILE_SYMLINK = 45,
	EVENT_FILE_CHMOD = 46,
	EVENT_FILE_CHOWN = 47,
	EVENT_FILE_TRUNCATE = 48,
	EVENT_FILE_SETXATTR = 49,
	EVENT_FILE_MMAP_EXEC = 50,
};

/* What is done to the tree of mounts is told as what is done to files is: numbers of wire::event::Kind too. */
enum event_mount_action {
	EVENT_MOUNT = 62,	/* `target`: what is mounted there, `name`: the file system's type */
	EVENT_UNMOUNT = 63,
	EVENT_CHROOT = 65,
	EVENT_PIVOT_ROOT = 66,	/* `path`: the new root, `target`: where the old one goes */
};

/*
 * What reaches out of where a process is kept, and what it may control the kernel through: told as
 * what is done to files is too.
 */
enum event_reach_action {
	EVENT_KEXEC_FILE = 67,		/* `path`: the image of a kernel that is to be run */
	EVENT_CONTROL = 68,		/* a file of ftrace, or one of a few of control groups, is opened to be written */
	EVENT_RUNTIME_SOCKET = 115,	/* connected to a container runtime's socket */
	EVENT_OUTSIDE_ROOT = 116,	/* opened in the host's mount namespace, by a process of another one */
};

/* Bits of event_file.flags. */
#define EVENT_FILE_PATH_CUT (1 << 0)		/* `path` is not whole: its beginning is missing */
#define EVENT_FILE_TARGET_CUT (1 << 1)		/* likewise */
#define EVENT_FILE_HOST_NAMESPACE (1 << 2)	/* `path` is as the host's own mount namespace has it */
#define EVENT_FILE_SYSCALL (1 << 3)		/* the paths are a system call's arguments, from the process's memory */
#define EVENT_FILE_EXCHANGE (1 << 4)		/* a rename that exchanged the two */

/*
 * An action on a file. After the fixed part come, without separators, path, target and name, each
 * as long as its *_len says.
 */
struct event_file {
	struct event_header header;
	struct event_task task;
	__u64 inode;
	__u64 device;		/* as in event_image */
	__u64 size;		/* in bytes, of a regular file, when all is done */
	__u32 filesystem;	/* s_magic */
	__u32 mode;		/* i_mode: type and permission bits, the new ones after chmod */
	__u32 owner;		/* uid, the new one after chown */
	__u32 group;
	__u32 action;		/* enum event_file_action */
	__u32 access;		/* EVENT_ACCESS_* */
	__s32 error;		/* 0, or why it failed: -errno */
	__u32 flags;
	__u16 path_len;
	__u16 target_len;	/* the other path of a rename or link; what a symlink holds */
	__u16 name_len;		/* of the attribute that setxattr sets */
	__u16 reserved;
};

/* What a process did to another one: the numbers of wire::event::Kind. */
enum event_target_action {
	EVENT_TARGET_PTRACE = 7,
	EVENT_TARGET_SIGNAL = 8,
	EVENT_TARGET_VM_WRITE = 11,
};

struct event_target {
	struct event_header header;
	struct event_task task;
	struct event_task target;
	__u32 action;	/* enum event_target_action */
	__u32 detail;	/* signal: its number; ptrace: PTRACE_MODE_* of include/linux/ptrace.h */
	__u32 error;	/* errno; 0: it was allowed */
	__u32 from_syscall;	/* only a call's arguments were seen: of `target` the tgid, in the caller's pid namespace */
};

/* What a process did to the kernel: the numbers of wire::event::Kind. */
enum event_kernel_action {
	EVENT_KERNEL_MODULE_LOAD = 60,
	EVENT_KERNEL_BPF_LOAD = 61,
	EVENT_KERNEL_KEXEC = 67,	/* by kexec_load(2): from memory */
	EVENT_KERNEL_IO_URING_SETUP = 69,
};

#define EVENT_NAME_MAX 64

struct event_kernel {
	struct event_header header;
	struct event_task task;
	__u32 action;			/* enum event_kernel_action */
	__u32 detail;			/* io_uring: IORING_SETUP_* flags; a module: its taint bits; a BPF program: its type */
	__u32 attach;			/* a BPF program's expected attach type */
	__u32 error;			/* errno; 0: done */
	char name[EVENT_NAME_MAX];	/* a module's, a BPF program's; ends at the first NUL */
	char at[EVENT_NAME_MAX];	/* the function that a BPF program is for; likewise */
};

#define EVENT_SETTING_NAME 96
#define EVENT_SETTING_VALUE 160

/* A setting of the kernel (sysctl) is about to be written. */
struct event_setting {
	struct event_header header;
	struct event_task task;
	__u32 name_len;
	__u32 value_len;
	char name[EVENT_SETTING_NAME];		/* below /proc/sys, with slashes */
	char value[EVENT_SETTING_VALUE];	/* as it was written, cut */
};

/* What a process does with memory that no file stands behind: the numbers of wire::event::Kind. */
enum event_memory_action {
	EVENT_MPROTECT_EXEC = 9,
	EVENT_MEMFD_CREATE = 10,
};

#define EVENT_MEMFD_NAME 256	/* memfd_create(2) takes 249 bytes, to which the kernel adds a few */

struct event_memory {
	struct event_header header;
	struct event_task task;
	__u64 inode;		/* of a memfd; 0: not known */
	__u32 action;		/* enum event_memory_action */
	__u32 prot;		/* PROT_* of what becomes executable */
	__u32 from_syscall;	/* whether a file stands behind the memory was not seen */
	__u32 name_len;
	char name[EVENT_MEMFD_NAME];	/* of a memfd, as /proc shows it: "memfd:" before what the process chose */
};

/* Inodes of the namespaces that a process lives in. */
struct event_namespaces_held {
	__u32 mnt;
	__u32 pid;
	__u32 net;
	__u32 uts;
	__u32 ipc;
	__u32 cgroup;
	__u32 user;
	__u32 reserved;
};

/* A process came to live in other namespaces: its own (unshare, setns), or as a child (clone). */
struct event_namespaces {
	struct event_header header;
	struct event_task task;
	struct event_namespaces_held before;
	struct event_namespaces_held after;
};

/* The ids that a process acts with, in the initial user namespace. */
struct event_ids {
	__u32 uid;
	__u32 euid;
	__u32 suid;
	__u32 fsuid;
	__u32 gid;
	__u32 egid;
	__u32 sgid;
	__u32 fsgid;
	__u64 effective;	/* capabilities */
	__u64 permitted;
};

/* What changed a process's credentials: the numbers of wire::event::Kind. */
enum event_credentials_action {
	EVENT_SETUID = 4,
	EVENT_SETGID = 5,
	EVENT_CAPSET = 6,
};

struct event_credentials {
	struct event_header header;
	struct event_task task;
	struct event_ids before;	/* all zeros where it was not seen: `from_syscall` */
	struct event_ids after;
	__u32 action;			/* enum event_credentials_action */
	__u32 error;			/* errno; 0: done */
	__u32 from_syscall;
	__u32 reserved;
};

#define EVENT_DNS_MAX 4096	/* bytes of a message that are carried */

/* Bits of event_dns.flags. */
#define EVENT_DNS_ANSWER (1 << 0)	/* it came from the server; else it was sent there */
#define EVENT_DNS_TCP (1 << 1)

/*
 * What a process sent to a DNS server, or got from it: a datagram, or a piece of a TCP stream. "Source" is the side
 * that asks, whichever way it goes. After the fixed part come `len` bytes of `bytes`.
 */
struct event_dns {
	struct event_header header;
	struct event_task task;	/* the side that asks */
	__u64 cookie;		/* of its socket */
	__u8 source_addr[16];	/* IPv4 as ::ffff:a.b.c.d */
	__u8 destination_addr[16];
	__u16 source_port;	/* host byte order */
	__u16 destination_port;
	__u32 flags;
	__u32 bytes;		/* true length */
	__u32 len;
	__u32 stream;		/* TCP: the initial sequence number of this direction, which tells streams of one socket apart */
	__u32 at;		/* TCP: how many bytes of the stream stand before these; UDP: length of each of several datagrams, or 0 */
};

/*
 * A control group that is named as runtimes name those of their containers got its first process, or lost its last one;
 * groups below it count. After the fixed part comes its path, as long as path_len says.
 */
struct event_populated {
	struct event_header header;
	__u64 cgroup_id;
	__u32 populated;	/* 0: it is empty now */
	__u32 by_mnt_ns;	/* the mount namespace of the current task: of who put the first process there */
	__u16 path_len;
	__u16 truncated;	/* the path is not whole */
	__u32 reserved;
};

/* Somebody has got hold of an object of the sensor's own: a map, a program. */
enum event_object {
	EVENT_OBJECT_MAP = 1,
	EVENT_OBJECT_PROGRAM = 2,
};

#define EVENT_OBJECT_NAME 16

struct event_touch {
	struct event_header header;
	struct event_task task;
	__u32 object;	/* enum event_object */
	__u32 id;	/* the kernel's number for it */
	char name[EVENT_OBJECT_NAME];	/* ends at the first NUL */
};

#define EVENT_CALL_ARGS 6

/* A system call that the collection asks for has returned. */
struct event_call {
	struct event_header header;
	struct event_task task;
	__u64 args[EVENT_CALL_ARGS];	/* as the registers have them */
	__s64 result;
	__u32 number;	/* in the table of the caller's architecture */
	__u32 action;	/* the call, as wire::event::Kind has it */
};

/* Counters of one (class, CPU); only atomic adds touch them. One cache line, in every version. */
#define EVENT_LEVELS 4
struct event_counters {
	__u64 generated[EVENT_LEVELS];	/* the next sequence number, by nesting level (only 0 since 5.12) */
	__u64 lost;			/* records that had a number but found no room */
	__u64 depth;			/* before 5.12: how many runs are nested here now */
	__u64 unread;			/* of `lost`: those for which no room was asked, as nobody read */
	__u64 reserved;
};

/* The hierarchy whose control groups are read. */
enum event_hierarchy {
	EVENT_HIERARCHY_V2 = 0,
	EVENT_HIERARCHY_PIDS = 1,
	EVENT_HIERARCHY_MEMORY = 2,
};

#define EVENT_DNS_PORTS 8

/* Fixed when the programs are loaded. */
struct event_config {
	__u64 confine_cgroup;		/* id of the only subtree that is seen; 0: everything is */
	__u64 unread_ns;		/* when nobody has read for so long nothing is told any more; 0: it always is */
	__u32 confine_hierarchy;	/* enum event_hierarchy of that subtree */
	__u32 report_hierarchy;		/* enum event_hierarchy of the ids and paths in records */
	__u32 n_cpus;			/* rows in `counters` for each class */
	__u32 n_scratch;		/* entries in `scratches` */
	__u32 wake_bytes[EVENT_N_CLASSES];	/* wake the reader when more than this waits in a ring */
	__u32 host_mnt_ns;		/* the host's own mount namespace (its inode); 0: not known */
	__u64 flow_idle_ns;		/* datagrams with a peer are one flow while they come closer together than this */
	__u16 dns_ports[EVENT_DNS_PORTS];	/* where DNS servers listen; 0: no port */
};

/* What the sensor tells its programs: the one value of `sensor`. */
struct event_sensor {
	__u64 drained_ns;	/* when it last looked into the rings, on the clock that stands still while the machine sleeps */
	__u64 told;		/* how many of all `unread` some sensor has told of */
	__u32 tgid;		/* itself */
	__u32 canary;		/* its thread that now does what must come back; else 0 */
};

/* Bits of the one value in `filter`: which of the filter maps have entries. */
#define EVENT_FILTER_UID (1 << 0)
#define EVENT_FILTER_CGROUP (1 << 1)
#define EVENT_FILTER_EXECUTABLE (1 << 2)

#include "tables.h"

#endif
