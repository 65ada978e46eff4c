/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DNS messages, with the process that asks.
 *
 * A socket asks when its process connects it to a DNS port, or sends a datagram there. Both the kernel
 * does in the process's name (cgroup/connect, cgroup/sendmsg), so there the process is kept under the
 * socket's cookie. Packets come later, in whoever's name: what such a socket sends to a DNS port is told as
 * the query of its process, and what it gets from there as the answer. The server's own socket asks
 * nobody: over loopback one datagram, seen as it leaves and as it arrives, is told once.
 *
 * What is told is where the process sent it: where the address is translated on the way, packets bear another.
 */
#ifndef VEDETTE_DNS_H
#define VEDETTE_DNS_H

#include "filter.h"
#include "scratch.h"
#include "socket.h"

#define DNS_IP4_HEADER 20
#define DNS_IP6_HEADER 40
#define DNS_UDP_HEADER 8
#define DNS_TCP_HEADER 20
#define DNS_TCP_SYN 0x02
#define DNS_EXTENSIONS 8	/* headers between that of IPv6 and the transport's */
#define DNS_RESPONSE 0x80	/* in the third byte of a message: it is an answer */

/* Records have one of three sizes, as the ring is asked for a constant one: most messages are short. */
#define DNS_SHORT (256 - sizeof(struct event_dns))
#define DNS_MIDDLE (1024 - sizeof(struct event_dns))

/* Who asks through a socket. */
struct dns_asker {
	struct event_task task;
	u8 server[16];	/* whom it named last, IPv4 as ::ffff:a.b.c.d */
	u32 isn[2];	/* TCP: initial sequence numbers, of queries and of answers */
	u8 has_isn[2];
	u16 port;	/* of the server; 0: the last datagram went elsewhere */
	u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, u64);	/* the socket's cookie */
	__type(value, struct dns_asker);
} dns_askers SEC(".maps");

/* A packet, as far as it has been looked at. */
struct dns_packet {
	u32 at;		/* where the message begins in it */
	u32 len;	/* how long that is */
	u32 seq;	/* TCP */
	u16 local_port;
	u16 remote_port;
	u8 tcp_flags;
	u8 is_ip6;
};

static __always_inline bool dns__is_port(u16 port)
{
	for (u32 i = 0; i < EVENT_DNS_PORTS; i++)
		if (port && port == config.dns_ports[i])
			return true;
	return false;
}

/* The current process connects a socket to this address, or sends a datagram to it. */
static __always_inline int dns__named(struct bpf_sock_addr *ctx, const struct dns_asker *named, bool connects)
{
	struct dns_asker asker = *named, *known;
	u64 cookie = bpf_get_socket_cookie(ctx);

	if (!dns__is_port(asker.port)) {
		known = bpf_map_lookup_elem(&dns_askers, &cookie);
		if (known && connects)
			bpf_map_delete_elem(&dns_askers, &cookie);
		else if (known)
			known->port = 0;
		return 1;
	}
	if (!filter__wants_this()) {
		bpf_map_delete_elem(&dns_askers, &cookie);
		return 1;
	}
	task__fill(&asker.task, task__current());
	bpf_map_update_elem(&dns_askers, &cookie, &asker, BPF_ANY);
	return 1;
}

/* cgroup/connect4, cgroup/sendmsg4 */
static __always_inline int dns__named_ip4(struct bpf_sock_addr *ctx, bool connects)
{
	struct dns_asker asker = { .port = bpf_ntohs(ctx->user_port) };

	socket__fill_v4(asker.server, ctx->user_ip4);
	return dns__named(ctx, &asker, connects);
}

/* cgroup/connect6, cgroup/sendmsg6 */
static __always_inline int dns__named_ip6(struct bpf_sock_addr *ctx, bool connects)
{
	struct dns_asker asker = { .port = bpf_ntohs(ctx->user_port) };
	u32 part;

	part = ctx->user_ip6[0];
	__builtin_memcpy(asker.server, &part, 4);
	part = ctx->user_ip6[1];
	__builtin_memcpy(asker.server + 4, &part, 4);
	part = ctx->user_ip6[2];
	__builtin_memcpy(asker.server + 8, &part, 4);
	part = ctx->user_ip6[3];
	__builtin_memcpy(asker.server + 12, &part, 4);
	return dns__named(ctx, &asker, connects);
}

/* Fills in the addresses and finds where the header of this protocol begins; 0: nowhere. */
static __always_inline u32 dns__addresses(struct __sk_buff *skb, struct event_dns *record, struct dns_packet *packet,
					  bool answer, u32 protocol)
{
	u8 *from = answer ? record->destination_addr : record->source_addr;
	u8 *to = answer ? record->source_addr : record->destination_addr;
	u8 head[DNS_IP6_HEADER] __attribute__((aligned(8)));
	u32 at = DNS_IP6_HEADER, next;

	if (bpf_skb_load_bytes(skb, 0, head, DNS_IP4_HEADER))
		return 0;
	if (head[0] >> 4 == 4) {
		if (head[9] != protocol)
			return 0;
		socket__fill_v4(from, *(u32 *)&head[12]);
		socket__fill_v4(to, *(u32 *)&head[16]);
		return (head[0] & 15) * 4;
	}
	if (bpf_skb_load_bytes(skb, 0, head, DNS_IP6_HEADER))
		return 0;
	packet->is_ip6 = 1;
	__builtin_memcpy(from, head + 8, 16);
	__builtin_memcpy(to, head + 24, 16);
	next = head[6];
	for (u32 i = 0; i < DNS_EXTENSIONS; i++) {
		if (next == protocol)
			return at;
		/* RFC 8200, 4; the authentication header (RFC 4302) counts in other units, a fragment's is always 8 long. */
		if (next != 0 && next != 43 && next != 44 && next != 51 && next != 60)
			return 0;
		if (bpf_skb_load_bytes(skb, at, head, 2))
			return 0;
		at += next == 44 ? 8 : next == 51 ? (head[1] + 2) * 4 : (head[1] + 1) * 8;
		next = head[0];
	}
	return 0;
}

/* Whether this is a datagram, or a piece of a TCP stream. */
static __always_inline bool dns__read(struct __sk_buff *skb, struct event_dns *record, struct dns_packet *packet,
				      bool answer, u32 protocol)
{
	u8 head[DNS_TCP_HEADER] __attribute__((aligned(8)));
	u32 at = dns__addresses(skb, record, packet, answer, protocol);
	u32 header = DNS_UDP_HEADER;
	u16 from, to;

	if (!at)
		return false;
	if (bpf_skb_load_bytes(skb, at, head, DNS_UDP_HEADER))
		return false;
	from = bpf_ntohs(*(u16 *)&head[0]);
	to = bpf_ntohs(*(u16 *)&head[2]);
	packet->local_port = answer ? to : from;
	packet->remote_port = answer ? from : to;
	if (protocol == IPPROTO_TCP) {
		if (bpf_skb_load_bytes(skb, at, head, DNS_TCP_HEADER))
			return false;
		packet->seq = bpf_ntohl(*(u32 *)&head[4]);
		packet->tcp_flags = head[13];
		header = (head[12] >> 4) * 4;
	}
	packet->at = at + header;
	if (packet->at > skb->len)
		return false;
	packet->len = skb->len - packet->at;
	return true;
}

/*
 * Whose socket it is where it was connected before the programs were there, or is a raw one: the current process, in
 * whose name a datagram leaves. Sockets of the kernel's own have no file; theirs leave in anybody's.
 */
static __always_inline bool dns__asks_now(struct bpf_sock *sk, struct dns_asker *asker)
{
	struct sock *sock = (void *)compat__address(sk);
	struct task_struct *task = task__current();

	if (!BPF_CORE_READ(sock, sk_socket, file) || BPF_CORE_READ(task, flags) & PF_KTHREAD || !filter__wants_this())
		return false;
	task__fill(&asker->task, task);
	return true;
}

/* Copies the message behind the record and sends both. `room` is a constant. */
static __always_inline void dns__copy(struct __sk_buff *skb, const struct event_dns *made, u32 at, const u32 room)
{
	struct emit_ticket ticket;
	struct event_dns *record = emit__reserve(&ticket, EVENT_CLASS_BULK, sizeof(*record) + room);
	u64 last = (u64)made->len - 1;	/* that it is not nothing older kernels see only thus */

	if (!record)
		return;
	*record = *made;
	scratch__opaque(last);
	if (made->len && (last >= room || bpf_skb_load_bytes(skb, at, record + 1, last + 1)))
		return emit__discard(&ticket, &record->header);
	emit__submit(&ticket, &record->header, EVENT_DNS, EVENT_CLASS_BULK, sizeof(*record) + made->len);
}

static __always_inline void dns__tell(struct __sk_buff *skb, struct event_dns *record, const struct dns_packet *packet)
{
	record->header.time_ns = bpf_ktime_get_boot_ns();
	record->bytes = packet->len;
	record->len = packet->len > EVENT_DNS_MAX ? EVENT_DNS_MAX : packet->len;
	if (record->len <= DNS_SHORT)
		dns__copy(skb, record, packet->at, DNS_SHORT);
	else if (record->len <= DNS_MIDDLE)
		dns__copy(skb, record, packet->at, DNS_MIDDLE);
	else
		dns__copy(skb, record, packet->at, EVENT_DNS_MAX);
}

/* The socket's own idea of its end, which no translation on the way has changed. */
static __always_inline void dns__fill_local(struct event_dns *record, struct bpf_sock *sk, const struct dns_packet *packet)
{
	u32 part;

	record->source_port = sk->type == SOCK_RAW ? packet->local_port : sk->src_port;
	if (!packet->is_ip6) {
		part = sk->src_ip4;
		if (part)
			socket__fill_v4(record->source_addr, part);
		return;
	}
	part = sk->src_ip6[0];
	if (!part)
		return;
	__builtin_memcpy(record->source_addr, &part, 4);
	part = sk->src_ip6[1];
	__builtin_memcpy(record->source_addr + 4, &part, 4);
	part = sk->src_ip6[2];
	__builtin_memcpy(record->source_addr + 8, &part, 4);
	part = sk->src_ip6[3];
	__builtin_memcpy(record->source_addr + 12, &part, 4);
}

static __always_inline void dns__datagram(struct __sk_buff *skb, struct bpf_sock *sk, bool answer)
{
	struct event_dns record = { .flags = answer ? EVENT_DNS_ANSWER : 0 };
	struct dns_packet packet = {};
	struct dns_asker *asker, now = {};
	u64 cookie;
	u8 bits;

	if (!dns__read(skb, &record, &packet, answer, IPPROTO_UDP)) {
		/* Not UDP (a raw socket's), or hidden behind more headers than are read. */
		cookie = bpf_get_socket_cookie(skb);
		asker = sk->type == SOCK_RAW ? NULL : bpf_map_lookup_elem(&dns_askers, &cookie);
		if (asker && asker->port && !answer)
			emit__lost(EVENT_CLASS_BULK);
		return;
	}
	if (answer && !dns__is_port(packet.remote_port))
		return;
	cookie = bpf_get_socket_cookie(skb);
	asker = bpf_map_lookup_elem(&dns_askers, &cookie);
	if (!asker) {
		if (answer || !dns__is_port(packet.remote_port) || !dns__asks_now(sk, &now))
			return;
		bpf_map_update_elem(&dns_askers, &cookie, &now, BPF_ANY);
		asker = &now;
	}
	/* Between two DNS ports only the message tells who asks. */
	if (dns__is_port(packet.local_port) && !bpf_skb_load_bytes(skb, packet.at + 2, &bits, 1) &&
	    !(bits & DNS_RESPONSE) == answer)
		return;
	record.task = asker->task;
	record.cookie = cookie;
	record.destination_port = packet.remote_port;
	if (!answer && asker->port) {
		__builtin_memcpy(record.destination_addr, asker->server, 16);
		record.destination_port = asker->port;
	} else if (!answer && !dns__is_port(packet.remote_port)) {
		return;
	}
	dns__fill_local(&record, sk, &packet);
	record.at = skb->gso_size;
	dns__tell(skb, &record, &packet);
}

static __always_inline void dns__segment(struct __sk_buff *skb, struct bpf_sock *sk, bool answer)
{
	struct event_dns record = { .flags = EVENT_DNS_TCP | (answer ? EVENT_DNS_ANSWER : 0) };
	struct dns_packet packet = {};
	struct dns_asker *asker;
	u64 cookie;

	if (!dns__is_port(bpf_ntohs(sk->dst_port)))
		return;
	cookie = bpf_get_socket_cookie(skb);
	asker = bpf_map_lookup_elem(&dns_askers, &cookie);
	if (!asker)
		return;
	if (!dns__read(skb, &record, &packet, answer, IPPROTO_TCP)) {
		emit__lost(EVENT_CLASS_BULK);
		return;
	}
	if (packet.tcp_flags & DNS_TCP_SYN) {
		asker->isn[answer] = packet.seq;
		asker->has_isn[answer] = 1;
		packet.seq++;
	}
	if (!packet.len || !asker->has_isn[answer])
		return;
	record.task = asker->task;
	record.cookie = cookie;
	record.stream = asker->isn[answer];
	record.at = packet.seq - record.stream - 1;
	__builtin_memcpy(record.destination_addr, asker->server, 16);
	record.destination_port = asker->port;
	dns__fill_local(&record, sk, &packet);
	dns__tell(skb, &record, &packet);
}

/* cgroup_skb: a packet leaves a socket, or (`answer`) arrives at one. */
static __always_inline int dns__packet(struct __sk_buff *skb, bool answer)
{
	struct bpf_sock *sk = skb->sk;

	if (!sk)
		return 1;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return 1;
	if (sk->protocol == IPPROTO_UDP || sk->type == SOCK_RAW)
		dns__datagram(skb, sk, answer);
	else if (sk->protocol == IPPROTO_TCP)
		dns__segment(skb, sk, answer);
	return 1;
}

#endif
