/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sockets that are made to send or see more than streams and datagrams: raw ones, those of packets, and those that ping.
 * What goes through them is not told; so their making is.
 */
#ifndef VEDETTE_MADE_H
#define VEDETTE_MADE_H

#include "flow.h"

static __always_inline void made__tell(struct event_made *record)
{
	if (!filter__wants_this())
		return;
	record->header.time_ns = bpf_ktime_get_boot_ns();
	task__fill(&record->task, task__current());
	emit(&record->header, EVENT_MADE, EVENT_CLASS_BULK, sizeof(*record));
}

/* cgroup/sock_create: the current process has made a socket of IPv4 or IPv6. */
static __always_inline int made__inet(struct bpf_sock *ctx)
{
	struct event_made record = { .family = ctx->family, .type = ctx->type, .protocol = ctx->protocol };
	bool pings = record.type == SOCK_DGRAM &&
		     (record.protocol == IPPROTO_ICMP || record.protocol == IPPROTO_ICMPV6);

	if (flow__is_udp(record.protocol) && record.type == SOCK_DGRAM)
		flow__owned(compat__address(ctx), bpf_get_socket_cookie(ctx));
	if (record.type != SOCK_RAW && !pings)
		return 1;
	record.cookie = bpf_get_socket_cookie(ctx);
	made__tell(&record);
	return 1;
}

/* A socket was made: one of packets, which no control group sees? */
static __always_inline int made__packet(struct socket *socket)
{
	struct event_made record = {};
	struct sock *sk = BPF_CORE_READ(socket, sk);
	struct packet_sock *packet = (void *)sk;

	if (!sk)
		return 0;
	record.family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (record.family != AF_PACKET && record.family != AF_XDP)
		return 0;
	record.type = BPF_CORE_READ(sk, sk_type);
	if (record.family == AF_PACKET && bpf_core_field_exists(packet->num))
		record.protocol = bpf_ntohs(BPF_CORE_READ(packet, num));
	made__tell(&record);
	return 0;
}

#endif
