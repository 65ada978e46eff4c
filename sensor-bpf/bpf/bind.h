/* SPDX-License-Identifier: GPL-2.0-only */
/* Sockets that a process binds to an address. */
#ifndef VEDETTE_BIND_H
#define VEDETTE_BIND_H

#include "flow.h"

/*
 * cgroup/post_bind4 and 6: a call that binds has got the port, and holds the socket's lock. Ports that the kernel picks
 * for a connection or a datagram are not bound so.
 */
static __always_inline int bind__done(struct bpf_sock *ctx)
{
	/* To the program it is a view of the socket; the pointer is the socket's own. */
	struct sock *sk = (void *)compat__address(ctx);
	struct event_connection record = { .role = EVENT_ROLE_BIND };
	u32 protocol = ctx->protocol;

	if (flow__is_udp(protocol))
		flow__owned((u64)sk, bpf_get_socket_cookie(ctx));
	else if (protocol != IPPROTO_TCP)
		return 1;
	if (!filter__wants_this())
		return 1;
	record.header.time_ns = bpf_ktime_get_boot_ns();
	task__fill(&record.task, task__current());
	socket__fill_ends(&record.socket, sk, false);
	record.socket.cookie = bpf_get_socket_cookie(ctx);
	emit(&record.header, EVENT_CONNECTION, EVENT_CLASS_BULK, sizeof(record));
	return 1;
}

#endif
