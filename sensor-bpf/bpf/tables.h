/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What the sensor fills and the programs look up: the other half of the contract in event.h, which includes this. */
#ifndef VEDETTE_TABLES_H
#define VEDETTE_TABLES_H

#include <linux/types.h>

/*
 * The matcher's tables. A collection of rules is a set of rows, each a conjunction; a vector has a
 * bit for each row. Each dimension of an event is one look-up that yields the vector of the rows
 * that accept this value, or do not care. The vectors are ANDed: what is left matches.
 *
 * There are two slots, so that one can be filled while the other decides.
 */
#define MATCH_ROWS 1024
#define MATCH_WORDS (MATCH_ROWS / 64)
#define MATCH_SLOTS 2
#define MATCH_TEXT_MAX 252	/* bytes of a text that the trie sees */
#define MATCH_PATTERN_MAX 256	/* bytes of a pattern that is checked */
#define MATCH_PATTERN_PIECES 8	/* stretches of bytes in it */
#define MATCH_CHECKS 4		/* patterns of one row that are checked */
#define MATCH_CHECKED 16	/* rows with such patterns among the 64 of one word of a vector */

/* Room in the maps; each slot may fill half. Vectors and patterns of the second slot begin at half. */
#define MATCH_NUMBERS 8192
#define MATCH_TEXTS 32768
#define MATCH_VECTORS 4096
#define MATCH_PATTERNS 1024

/*
 * What is looked up. Numbers stand in `match_numbers`, texts in `match_texts`. The kind is looked up
 * always: its vectors have no bit that is no row. An access of no bits is an absent one.
 */
enum match_dim {
	MATCH_KIND = 0,		/* number: event.category and event.action, as wire::event::Kind has it */
	MATCH_USER = 1,		/* number: process.user.id */
	MATCH_ACCESS = 2,	/* number: the bits EVENT_ACCESS_* of file.access */
	MATCH_EXECUTABLE = 3,	/* text: process.executable */
	MATCH_PATH = 4,		/* text: file.path */
	MATCH_TARGET = 5,	/* text: file.target_path */
	MATCH_CALL = 6,		/* number: syscall.number */
	MATCH_N_DIMS = 7,
};

/* Bits of file.access. */
#define EVENT_ACCESS_READ (1 << 0)
#define EVENT_ACCESS_WRITE (1 << 1)
#define EVENT_ACCESS_EXEC (1 << 2)

struct match_number_key {
	__u32 slot;
	__u32 dim;
	__u64 value;
};

/*
 * The text as far as it fits, followed by a NUL if all of it does: so a whole text is a prefix
 * too, and one look-up for the longest prefix finds both.
 */
struct match_text_key {
	__u32 bits;	/* of what follows: 32 for slot and dim, then 8 for each byte */
	__u8 slot;
	__u8 dim;
	__u8 reserved[2];
	__u8 text[MATCH_TEXT_MAX];
};

struct match_vector {
	__u64 words[MATCH_WORDS];
};

/* A pattern that the trie cannot decide: stretches of bytes in order, with anything between them. */
struct match_pattern {
	__u16 n_pieces;
	__u16 anchors;				/* MATCH_ANCHOR_* */
	__u16 ends[MATCH_PATTERN_PIECES];	/* where each piece ends in `bytes` */
	__u8 bytes[MATCH_PATTERN_MAX];
};

#define MATCH_ANCHOR_START (1 << 0)	/* the text begins with the first piece */
#define MATCH_ANCHOR_END (1 << 1)	/* the text ends with the last piece */

/*
 * The patterns of one row that have to be looked at when all else matches: all of them must hold. An
 * absent text has no pattern, so a negated one holds then.
 */
struct match_checks {
	__u32 n_checks;
	struct match_check {
		__u16 pattern;	/* index in `match_patterns` */
		__u8 dim;
		__u8 negated;
	} checks[MATCH_CHECKS];
};

/* One slot's collection. Vectors are named by their index in `match_vectors`. */
struct match_header {
	__u64 generation;		/* 0: no collection, everything matches */
	__u32 uses;			/* bit d: some row asks for dimension d */
	__u32 checked;			/* vector: the rows that have checks */
	__u32 n_words;			/* of each vector that are looked at: all rows stand in them */
	__u32 reserved;
	__u32 otherwise[MATCH_N_DIMS];	/* vector where a look-up finds nothing */
	__u32 absent[MATCH_N_DIMS];	/* vector where the event has no such value */
};

/*
 * How to read a system call that returns: which call it is, and at which place (from 0) its
 * arguments stand; -1: it has none. Rows for 64-bit calls, then as many for 32-bit ones.
 */
#define SYSCALL_NUMBERS 512
#define SYSCALL_ACCEPT 1	/* beside enum event_file_action */
#define SYSCALL_PTRACE 2	/* `path` is the place of the request */
#define SYSCALL_VM_WRITE 3
#define SYSCALL_SETUID 4
#define SYSCALL_SETGID 5
#define SYSCALL_CAPSET 6
#define SYSCALL_NAMESPACE 7	/* setns, unshare */
#define SYSCALL_BPF 8
#define SYSCALL_KEXEC 12
#define SYSCALL_MEMFD 13
#define SYSCALL_MPROTECT 14
#define SYSCALL_CONNECT 15
#define SYSCALL_SOCKETCALL 16	/* of 32-bit programs: the first argument says which call it is */
#define SYSCALL_SOCKET 28
#define SYSCALL_CWD (-100)	/* AT_FDCWD */

#define SYSCALL_PART_PROGRAM (1 << 0)	/* of bpf: programs loaded; of a call that shows one thing: that */
#define SYSCALL_PART_OBJECT (1 << 1)	/* of bpf: descriptors had of our own objects */
#define SYSCALL_PART_ACCEPT (1 << 2)	/* of socketcall */
#define SYSCALL_PART_SOCKET (1 << 3)	/* likewise */

struct syscall_shape {
	__u8 action;	/* 0: not looked at */
	__s8 fd;	/* the file itself */
	__s8 dir;	/* the directory that `path` starts from */
	__s8 path;
	__s8 target_dir;
	__s8 target;
	__s8 text;	/* a text that is told as the target, and is no path from anywhere */
	__s8 name;	/* a text that is told as the name */
	__u8 parts;	/* SYSCALL_PART_*: what is told of a call that shows several things; else not 0 */
	__u8 reserved[3];
};

/* Requests of ptrace that take hold of a process. */
#define PTRACE_ATTACH 16
#define PTRACE_SEIZE 0x4206

/* The calls of socketcall that make a socket, and that accept. */
#define SOCKETCALL_SOCKET 1
#define SOCKETCALL_ACCEPT 5
#define SOCKETCALL_ACCEPT4 18

/* Key of the filter by executable. */
struct event_file_key {
	__u64 device;	/* as in event_image */
	__u64 inode;
};

#endif
