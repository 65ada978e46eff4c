/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A datagram as the kernel has it on its way out of a socket, or into one: between whom, and how much.
 *
 * Addresses are those that the socket's process knows. What arrives has been translated back by then; what leaves has
 * been translated already, and connection tracking remembers from what.
 */
#ifndef VEDETTE_DATAGRAM_H
#define VEDETTE_DATAGRAM_H

#include "socket.h"

#define DATAGRAM_HEADER 8

struct datagram {
	u8 local_addr[16];	/* IPv4 as ::ffff:a.b.c.d */
	u8 peer_addr[16];
	u16 local_port;
	u16 peer_port;
	u32 bytes;		/* without headers */
	u32 wrapped;		/* IPsec has packed it up: perhaps later, and in no process's name */
};

/* include/net/netfilter/nf_conntrack_tuple.h */
struct datagram_tuple {
	u32 source_addr[4];
	__be16 source_port;
	u16 family;
	u32 destination_addr[4];
	__be16 destination_port;
	u16 protocol;
};

struct datagram_ports {
	__be16 source;
	__be16 destination;
};

/* What leaves, before it was translated. */
static __always_inline void datagram__untranslate(struct datagram *dst, const struct sk_buff *skb)
{
	struct datagram_tuple tuple;
	unsigned long tracked;
	u64 at;

	if (!bpf_core_field_exists(skb->_nfct))
		return;
	tracked = BPF_CORE_READ(skb, _nfct);
	at = tracked & ~NFCT_INFOMASK;
	if (!at)
		return;
	at += bpf_core_field_offset(struct nf_conn, tuplehash) + bpf_core_field_offset(struct nf_conntrack_tuple_hash, tuple);
	if ((tracked & NFCT_INFOMASK) >= IP_CT_IS_REPLY)
		at += bpf_core_type_size(struct nf_conntrack_tuple_hash);
	if (bpf_probe_read_kernel(&tuple, sizeof(tuple), (void *)at))
		return;
	if (tuple.family == AF_INET) {
		socket__fill_v4(dst->local_addr, tuple.source_addr[0]);
		socket__fill_v4(dst->peer_addr, tuple.destination_addr[0]);
	} else {
		__builtin_memcpy(dst->local_addr, tuple.source_addr, 16);
		__builtin_memcpy(dst->peer_addr, tuple.destination_addr, 16);
	}
	dst->local_port = bpf_ntohs(tuple.source_port);
	dst->peer_port = bpf_ntohs(tuple.destination_port);
}

/* `len`: of the packet from the network header on. */
static __always_inline void datagram__fill(struct datagram *dst, const struct sk_buff *skb, struct sock *sk, u32 len,
					   bool leaves)
{
	unsigned char *head = BPF_CORE_READ(skb, head);
	u16 network = BPF_CORE_READ(skb, network_header);
	u16 transport = BPF_CORE_READ(skb, transport_header);
	u32 headers = (u32)transport - network + DATAGRAM_HEADER;
	u8 *source = leaves ? dst->local_addr : dst->peer_addr;
	u8 *destination = leaves ? dst->peer_addr : dst->local_addr;
	struct datagram_ports ports = {};
	u8 first = 0, protocol = 0;
	u32 addr = 0;

	head += network;
	bpf_probe_read_kernel(&first, sizeof(first), head);
	if (first >> 4 == 4) {
		bpf_probe_read_kernel(&protocol, sizeof(protocol), head + 9);
		bpf_probe_read_kernel(&addr, sizeof(addr), head + 12);
		socket__fill_v4(source, addr);
		bpf_probe_read_kernel(&addr, sizeof(addr), head + 16);
		socket__fill_v4(destination, addr);
	} else {
		bpf_probe_read_kernel(&protocol, sizeof(protocol), head + 6);
		bpf_probe_read_kernel(source, 16, head + 8);
		bpf_probe_read_kernel(destination, 16, head + 24);
	}
	dst->bytes = len > headers ? len - headers : 0;
	dst->wrapped = 0;
	if (protocol == IPPROTO_ESP || protocol == IPPROTO_AH) {
		/* Only the socket tells the ports, that of the peer if it is connected. */
		dst->wrapped = 1;
		dst->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
		dst->peer_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
		return;
	}
	bpf_probe_read_kernel(&ports, sizeof(ports), head - network + transport);
	dst->local_port = bpf_ntohs(leaves ? ports.source : ports.destination);
	dst->peer_port = bpf_ntohs(leaves ? ports.destination : ports.source);
	if (leaves)
		datagram__untranslate(dst, skb);
}

#endif
