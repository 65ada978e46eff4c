// SPDX-License-Identifier: GPL-2.0-only
/* Every program, in the order the kernel calls them. What they do stands in the headers. */
#include "bind.h"
#include "call.h"
#include "dns.h"
#include "container.h"
#include "load.h"
#include "made.h"
#include "process.h"
#include "setting.h"
#include "syscall.h"
#include "touch.h"

char LICENSE[] SEC("license") = "GPL";

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_fork, struct task_struct *parent, struct task_struct *child)
{ return process__forked(parent, child); }

SEC("tp_btf/cgroup_notify_populated")
int BPF_PROG(container_populated, struct cgroup *cgroup, const char *path, int populated)
{ return container__populated(cgroup, populated); }

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task, int old_tid, struct linux_binprm *bprm)
{ return process__executed(task, bprm); }

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(socket_state, const struct sock *sk, int old, int new)
{ return socket__state(sk, old, new); }

SEC("cgroup/sock_create")
int socket_created(struct bpf_sock *ctx)
{ return made__inet(ctx); }

SEC("fexit/security_socket_post_create")
int BPF_PROG(socket_made, struct socket *socket, int family, int type, int protocol, int kern, int ret)
{ return kern || ret ? 0 : made__packet(socket); }

SEC("cgroup/post_bind4")
int socket_bound4(struct bpf_sock *ctx)
{ return bind__done(ctx); }

SEC("cgroup/post_bind6")
int socket_bound6(struct bpf_sock *ctx)
{ return bind__done(ctx); }

SEC("cgroup_skb/egress")
int flow_leaves(struct __sk_buff *skb)
{ return flow__packet(skb, true); }

SEC("cgroup_skb/ingress")
int flow_arrives(struct __sk_buff *skb)
{ return flow__packet(skb, false); }

SEC("fentry/skb_consume_udp")
int BPF_PROG(flow_read, struct sock *sk, struct sk_buff *skb)
{ return flow__read(compat__address(sk), compat__address(skb)); }

SEC("cgroup/sock_release")
int socket_released(struct bpf_sock *ctx)
{ return flow__released(ctx); }

/* Is attached nowhere: the sensor runs it. */
SEC("cgroup_skb/egress")
int flow_ended(struct __sk_buff *skb)
{ return flow__asked(skb); }

SEC("iter/task_file")
int flow_found(struct bpf_iter__task_file *ctx)
{ return flow__found(ctx->task, ctx->file); }

SEC("cgroup/connect4")
int dns_connects4(struct bpf_sock_addr *ctx)
{ return dns__named_ip4(ctx, true); }

SEC("cgroup/connect6")
int dns_connects6(struct bpf_sock_addr *ctx)
{ return dns__named_ip6(ctx, true); }

SEC("cgroup/sendmsg4")
int dns_sends4(struct bpf_sock_addr *ctx)
{ return dns__named_ip4(ctx, false); }

SEC("cgroup/sendmsg6")
int dns_sends6(struct bpf_sock_addr *ctx)
{ return dns__named_ip6(ctx, false); }

SEC("cgroup_skb/egress")
int dns_leaves(struct __sk_buff *skb)
{ return dns__packet(skb, false); }

SEC("cgroup_skb/ingress")
int dns_arrives(struct __sk_buff *skb)
{ return dns__packet(skb, true); }

SEC("fexit/inet_accept")
int BPF_PROG(socket_accepted, struct socket *listener, struct socket *accepted)
{ return socket__was_accepted(accepted); }

SEC("tp_btf/sys_exit")
int BPF_PROG(syscall_returned, struct pt_regs *regs, long ret)
{ return syscall__returned(regs, ret); }

/* Is attached only where the collection asks for system calls. */
SEC("tp_btf/sys_exit")
int BPF_PROG(call_returned, struct pt_regs *regs, long ret)
{ return call__returned(regs, ret); }

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
{ return file__asked(file, ret); }

SEC("fexit/security_mmap_file")
int BPF_PROG(file_mapped, struct file *file, unsigned long prot, unsigned long flags, int ret)
{ return file__mapped(file, prot, ret); }

SEC("fexit/security_file_mprotect")
int BPF_PROG(file_protected, struct vm_area_struct *vma, unsigned long reqprot, unsigned long prot, int ret)
{ return file__protected(vma, reqprot, ret); }

SEC("fentry/security_path_unlink")
int BPF_PROG(change_unlink, const struct path *dir, struct dentry *dentry)
{ return change__entry(EVENT_FILE_UNLINK, dir, dentry); }

SEC("fentry/security_path_rmdir")
int BPF_PROG(change_rmdir, const struct path *dir, struct dentry *dentry)
{ return change__entry(EVENT_FILE_UNLINK, dir, dentry); }

SEC("fentry/security_path_mkdir")
int BPF_PROG(change_mkdir, const struct path *dir, struct dentry *dentry)
{ return change__entry(EVENT_FILE_CREATE, dir, dentry); }

SEC("fentry/security_path_mknod")
int BPF_PROG(change_mknod, const struct path *dir, struct dentry *dentry)
{ return change__entry(EVENT_FILE_CREATE, dir, dentry); }

SEC("fentry/security_path_symlink")
int BPF_PROG(change_symlink, const struct path *dir, struct dentry *dentry)
{ return change__entry(EVENT_FILE_SYMLINK, dir, dentry); }

SEC("fentry/security_path_link")
int BPF_PROG(change_link, struct dentry *old, const struct path *new_dir, struct dentry *new)
{ return change__link(old, new_dir, new); }

SEC("fentry/security_path_rename")
int BPF_PROG(change_rename, const struct path *old_dir, struct dentry *old, const struct path *new_dir, struct dentry *new,
	     unsigned int flags)
{ return change__rename(old_dir, old, new_dir, new, flags); }

SEC("fentry/security_path_chmod")
int BPF_PROG(change_chmod, const struct path *path)
{ return change__attribute(EVENT_FILE_CHMOD, path); }

SEC("fentry/security_path_chown")
int BPF_PROG(change_chown, const struct path *path)
{ return change__attribute(EVENT_FILE_CHOWN, path); }

/* Before 6.1 (720e6a435194fb) no program can follow a function that is given structures, such as kuid_t. */
SEC("fentry/chown_common")
int BPF_PROG(change_chown_common, const struct path *path)
{ return change__attribute(EVENT_FILE_CHOWN, path); }

SEC("fentry/security_path_truncate")
int BPF_PROG(change_truncate, const struct path *path)
{ return change__attribute(EVENT_FILE_TRUNCATE, path); }

SEC("fentry/security_file_truncate")
int BPF_PROG(change_file_truncate, struct file *file)
{ return change__attribute(EVENT_FILE_TRUNCATE, &file->f_path); }

SEC("fexit/vfs_unlink")
int unlink_done(u64 *ctx)
{ return change__done(ctx, CHANGE(UNLINK), compat__returned(ctx, 3, 4), NULL); }

SEC("fexit/vfs_rmdir")
int rmdir_done(u64 *ctx)
{ return change__done(ctx, CHANGE(UNLINK), compat__returned(ctx, 2, 3), NULL); }

SEC("fentry/d_delete")
int BPF_PROG(change_gone, struct dentry *dentry)
{ return change__gone(dentry); }

SEC("fexit/vfs_mkdir")
int mkdir_done(u64 *ctx)
{ return change__done(ctx, CHANGE(CREATE), compat__returned(ctx, 3, 4), NULL); }

SEC("fexit/vfs_mknod")
int mknod_done(u64 *ctx)
{ return change__done(ctx, CHANGE(CREATE), compat__returned(ctx, 4, 5), NULL); }

SEC("fexit/vfs_create")
int create_done(u64 *ctx)
{ return change__done(ctx, CHANGE(CREATE), compat__returned(ctx, 4, 5), NULL); }

SEC("fexit/vfs_symlink")
int symlink_done(u64 *ctx)
{ return change__done(ctx, CHANGE(SYMLINK), compat__returned(ctx, 3, 4), compat__arg(ctx, 2)); }

SEC("fexit/vfs_link")
int link_done(u64 *ctx)
{ return change__done(ctx, CHANGE(LINK), compat__returned(ctx, 4, 5), NULL); }

SEC("fexit/vfs_rename")
int rename_done(u64 *ctx)
{ return change__renamed(ctx, compat__renamed(ctx)); }

SEC("fexit/vfs_setxattr")
int xattr_done(u64 *ctx)
{
	return change__attribute_set(compat__address(compat__arg(ctx, 0)), compat__address(compat__arg(ctx, 1)),
				     compat__error(compat__returned(ctx, 5, 6)));
}

SEC("fexit/notify_change")
int attribute_done(u64 *ctx)
{ return change__attributes(ctx, compat__returned(ctx, 3, 4)); }

SEC("tp_btf/signal_generate")
int BPF_PROG(target_signalled, int sig, struct kernel_siginfo *info, struct task_struct *task, int group, int result)
{ return target__signalled(sig, info, task, result); }

SEC("fexit/security_ptrace_access_check")
int BPF_PROG(target_accessed, struct task_struct *child, unsigned int mode, int ret)
{ return target__accessed(child, mode, ret); }

SEC("tp_btf/module_load")
int BPF_PROG(module_loaded, struct module *module)
{ return load__module(module); }

SEC("tp_btf/io_uring_create")
int BPF_PROG(io_uring_made, int fd, void *ctx_, unsigned int sq_entries, unsigned int cq_entries, unsigned int flags)
{ return load__io_uring(flags); }

SEC("fentry/perf_event_bpf_event")
int BPF_PROG(program_loaded, struct bpf_prog *program, u32 what)
{ return load__program_event(program, what); }

SEC("fexit/security_kernel_load_data")
int BPF_PROG(kexec_loaded, u32 what, bool contents, int ret)
{ return load__data(what, ret); }

SEC("fexit/security_kernel_read_file")
int BPF_PROG(kexec_file_read, struct file *file, u32 what, bool contents, int ret)
{ return load__file(file, what, ret); }

SEC("cgroup/sysctl")
int setting_written(struct bpf_sysctl *ctx)
{ return setting__asked(ctx); }

SEC("fexit/shmem_file_setup")
int BPF_PROG(memory_file, const char *name, long long size, unsigned long flags, struct file *file)
{ return memory__made(name, file); }

SEC("fexit/hugetlb_file_setup")
int memory_file_huge(u64 *ctx)
{ return memory__made((void *)ctx[0], (void *)compat__returned(ctx, 6, 6)); }

SEC("fexit/security_unix_stream_connect")
int BPF_PROG(socket_reached, struct sock *sk, struct sock *other, struct sock *new, int ret)
{ return reach__connected((void *)compat__address(other), ret); }

SEC("fexit/path_mount")
int BPF_PROG(mount_made, const char *source, struct path *path, const char *type, unsigned long flags, void *data, int ret)
{ return mount__mounted(source, path, type, ret); }

SEC("fexit/security_move_mount")
int BPF_PROG(mount_moved, const struct path *from, const struct path *to, int ret)
{ return ret ? 0 : mount__tell(EVENT_MOUNT, compat__address(to), compat__address(from), 0, 0); }

SEC("fexit/security_sb_umount")
int BPF_PROG(mount_gone, struct vfsmount *mnt, int flags, int ret)
{ return mount__unmounting(mnt, ret); }

SEC("fexit/security_path_chroot")
int BPF_PROG(root_changed, const struct path *path, int ret)
{ return ret ? 0 : mount__tell(EVENT_CHROOT, compat__address(path), 0, 0, 0); }

SEC("fexit/security_sb_pivotroot")
int BPF_PROG(root_pivoted, const struct path *old, const struct path *new, int ret)
{ return ret ? 0 : mount__tell(EVENT_PIVOT_ROOT, compat__address(new), compat__address(old), 0, 0); }

SEC("fentry/switch_task_namespaces")
int BPF_PROG(place_moving, struct task_struct *task, struct nsproxy *new)
{ return place__moving(task, new); }

SEC("fexit/security_task_fix_setuid")
int BPF_PROG(credentials_uid, struct cred *new, const struct cred *old, int flags, int ret)
{ return credentials__changing(EVENT_SETUID, new, old, ret); }

SEC("fexit/security_task_fix_setgid")
int BPF_PROG(credentials_gid, struct cred *new, const struct cred *old, int flags, int ret)
{ return credentials__changing(EVENT_SETGID, new, old, ret); }

SEC("fexit/security_capset")
int BPF_PROG(credentials_capset, struct cred *new, const struct cred *old, const void *effective, const void *inheritable,
	     const void *permitted, int ret)
{ return credentials__changing(EVENT_CAPSET, new, old, ret); }

SEC("fexit/security_bprm_creds_from_file")
int BPF_PROG(credentials_file, struct linux_binprm *bprm, struct file *file, int ret)
{ return ret ? 0 : credentials__executing(BPF_CORE_READ(bprm, cred)); }

SEC("tp_btf/sched_prepare_exec")
int BPF_PROG(credentials_exec, struct task_struct *task, struct linux_binprm *bprm)
{ return credentials__executing(BPF_CORE_READ(bprm, cred)); }

SEC("fexit/security_bpf_map")
int BPF_PROG(touch_map, struct bpf_map *map, unsigned int mode, int ret)
{ return ret ? 0 : touch__map(map); }

SEC("fexit/security_bpf_prog")
int BPF_PROG(touch_program, struct bpf_prog *prog, int ret)
{ return ret ? 0 : touch__program(prog); }
