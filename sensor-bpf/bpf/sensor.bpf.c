// SPDX-License-Identifier: GPL-2.0-only
/* Every program, in the order the kernel calls them. What they do stands in the headers. */
#include "file.h"
#include "process.h"
#include "socket.h"

char LICENSE[] SEC("license") = "GPL";

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_fork, struct task_struct *parent, struct task_struct *child)
{ return process__forked(parent, child); }

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task, int old_tid, struct linux_binprm *bprm)
{ return process__executed(task, bprm); }

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(socket_state, const struct sock *sk, int old, int new)
{ return socket__state(sk, old, new); }

SEC("fexit/inet_accept")
int BPF_PROG(socket_accepted, struct socket *listener, struct socket *accepted)
{ return socket__was_accepted(accepted); }

SEC("tp_btf/sys_exit")
int BPF_PROG(socket_accept, struct pt_regs *regs, long ret)
{ return socket__accept_returned(regs, ret); }

SEC("tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(socket_read, struct sock *sk)
{ return socket__read(sk); }

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task)
{ return process__exited(task); }

SEC("iter/task")
int process_found(struct bpf_iter__task *ctx)
{ return process__found(ctx->meta->seq, ctx->task); }

SEC("fexit/security_file_open")
int BPF_PROG(file_opened, struct file *file, int ret)
{ return file__opened(file, ret); }

SEC("fexit/security_mmap_file")
int BPF_PROG(file_mapped, struct file *file, unsigned long prot, unsigned long flags, int ret)
{ return file__mapped(file, prot, ret); }

SEC("fexit/security_file_mprotect")
int BPF_PROG(file_protected, struct vm_area_struct *vma, unsigned long reqprot, unsigned long prot, int ret)
{ return file__protected(vma, reqprot, ret); }
