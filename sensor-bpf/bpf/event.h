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
	EVENT_N_CLASSES = 2,
};

/* What a record is. */
enum event_kind {
	EVENT_FORK = 1,
	EVENT_IMAGE = 2,
	EVENT_EXIT = 3,
	EVENT_CONNECTION = 4,
	EVENT_CLOSE = 5,
};

/* Every record starts with this. */
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
};

/* A TCP socket. "Source" is the side that opened the connection, wherever this host stands. */
struct event_socket {
	__u64 cookie;
	__u8 source_addr[16];	/* IPv4 as ::ffff:a.b.c.d */
	__u8 destination_addr[16];
	__u16 source_port;	/* host byte order */
	__u16 destination_port;
	__u32 source_isn;
	__u32 destination_isn;
	__u32 reserved;
};

struct event_connection {
	struct event_header header;
	struct event_task task;
	struct event_task accepted_by;	/* zero unless another process serves */
	struct event_socket socket;
	__u32 role;	/* enum event_role */
	__u32 reserved;
};

struct event_close {
	struct event_header header;
	struct event_task task;
	struct event_socket socket;
	__u64 source_bytes;
	__u64 destination_bytes;
	__u32 role;	/* what this end had done */
	__u32 reserved;
};

/* Counters of one (class, CPU); only atomic adds touch them. One cache line. */
#define EVENT_LEVELS 4
struct event_counters {
	__u64 generated[EVENT_LEVELS];	/* the next sequence number, by nesting level (only 0 since 5.12) */
	__u64 lost;			/* records that had a number but found no room */
	__u64 depth;			/* before 5.12: how many runs are nested here now */
	__u64 reserved[2];
};

/* The hierarchy whose control groups are read. */
enum event_hierarchy {
	EVENT_HIERARCHY_V2 = 0,
	EVENT_HIERARCHY_PIDS = 1,
	EVENT_HIERARCHY_MEMORY = 2,
};

/* Fixed when the programs are loaded. */
struct event_config {
	__u64 confine_cgroup;		/* id of the only subtree that is seen; 0: everything is */
	__u32 confine_hierarchy;	/* enum event_hierarchy of that subtree */
	__u32 report_hierarchy;		/* enum event_hierarchy of the ids and paths in records */
	__u32 n_cpus;			/* rows in `counters` for each class */
	__u32 n_scratch;		/* entries in `scratches` */
	__u32 wake_bytes[EVENT_N_CLASSES];	/* wake the reader when more than this waits in a ring */
};

/* Bits of the one value in `filter`: which of the filter maps have entries. */
#define EVENT_FILTER_UID (1 << 0)
#define EVENT_FILTER_CGROUP (1 << 1)
#define EVENT_FILTER_EXECUTABLE (1 << 2)

/* Key of the filter by executable. */
struct event_file_key {
	__u64 device;	/* as in event_image */
	__u64 inode;
};

#endif
