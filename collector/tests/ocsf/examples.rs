//! An event of every kind as a sensor tells it: a web server, somebody on a shell who breaks in, a container.

use bytes::Bytes;
use wire::batch::{Batch, Builder};
use wire::event::{Event, Kind, Row};
use wire::field::Field;
use wire::subject::SubjectNumber;
use wire::value::Value;

use crate::world::{event, list, process, row, seal};

/// A batch with all of them, in the order of the reference.
pub(crate) fn batch() -> Batch {
    let mut builder = Builder::new();
    let [bash, pod] = processes(&mut builder);
    for (event, subject) in events() {
        let subject = match subject {
            Who::Bash => Some(bash),
            Who::Pod => Some(pod),
            Who::Nobody => None,
        };
        builder.push(&event, subject);
    }
    seal(&mut builder)
}

/// Who does it.
enum Who {
    Bash,
    Pod,
    Nobody,
}

fn processes(builder: &mut Builder) -> [SubjectNumber; 2] {
    let systemd = builder.subject(&process(
        1,
        1,
        None,
        row([
            (Field::ProcessExecutable, "/usr/lib/systemd/systemd".into()),
            (Field::ProcessArgs, list(&["/sbin/init"])),
            (Field::ProcessUserId, 0u64.into()),
        ]),
    ));
    let sshd = builder.subject(&process(
        4,
        612,
        Some(systemd),
        row([
            (Field::ProcessExecutable, "/usr/sbin/sshd".into()),
            (Field::ProcessArgs, list(&["sshd:", "deploy", "[priv]"])),
            (Field::ProcessUserId, 0u64.into()),
            (Field::ProcessUserName, "root".into()),
        ]),
    ));
    let bash = builder.subject(&process(9, 4_711, Some(sshd), bash()));
    let containerd = builder.subject(&process(
        3,
        500,
        Some(systemd),
        row([(Field::ProcessExecutable, "/usr/bin/containerd-shim-runc-v2".into())]),
    ));
    let pod = builder.subject(&process(8, 4_000, Some(containerd), pod()));
    [bash, pod]
}

fn bash() -> Row {
    row([
        (Field::ProcessExecutable, "/usr/bin/bash".into()),
        (Field::ProcessArgs, list(&["bash", "-c", "id; sleep 1"])),
        (Field::ProcessArgsCount, 3u64.into()),
        (Field::ProcessArgsBytes, 20u64.into()),
        (Field::ProcessWorkingDirectory, "/home/deploy".into()),
        (Field::ProcessUserId, 1000u64.into()),
        (Field::ProcessUserName, "deploy".into()),
        (Field::ProcessRealUserId, 1000u64.into()),
        (Field::ProcessGroupId, 1000u64.into()),
        (Field::ProcessLoginUserId, 1000u64.into()),
        (Field::ProcessSessionId, 4_700u64.into()),
        (Field::ProcessTty, "pts0".into()),
        (Field::ProcessInteractive, true.into()),
        (Field::ProcessCapabilities, (1u64 << 21 | 1).into()),
        (Field::ProcessHashSha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".into()),
        (Field::ProcessImageInode, 131_072u64.into()),
        (Field::ProcessImageDevice, 64_768u64.into()),
        (Field::ProcessImageDeleted, false.into()),
        (Field::ProcessImageWritableMount, true.into()),
        (Field::ProcessImageHostFile, true.into()),
        (Field::ProcessIoStdin, "tty".into()),
        (Field::ProcessMntNs, 4_026_531_841u64.into()),
        (Field::ProcessCgroup, "/user.slice/user-1000.slice/session-3.scope".into()),
    ])
}

fn pod() -> Row {
    row([
        (Field::ProcessExecutable, "/usr/sbin/nginx".into()),
        (Field::ProcessArgs, list(&["nginx", "-g", "daemon-off"])),
        (Field::ProcessArgsCount, 3u64.into()),
        (Field::ProcessUserId, 33u64.into()),
        (Field::ProcessUserName, "www-data".into()),
        (Field::ProcessGroupId, 33u64.into()),
        (Field::ContainerId, "2f1c0e8d6b5a49378261504f3e2d1c0b9a8877665544332211ffeeddccbbaa00".into()),
        (Field::ContainerName, "web".into()),
        (Field::ContainerImageName, "docker.io/library/nginx:1.27".into()),
        (Field::ContainerRuntime, "containerd".into()),
        (Field::KubernetesNamespace, "shop".into()),
        (Field::KubernetesPodName, "web-5d9c".into()),
        (Field::KubernetesPodUid, "7c1d9a60-9f0e-4f7b-9a55-2b6f0d8e1c3a".into()),
        (Field::KubernetesLabels, list(&["app=web", "pod-template-hash=5d9c"])),
        (Field::ProcessMntNs, 4_026_532_600u64.into()),
    ])
}

fn file(path: &'static str) -> Row {
    row([
        (Field::EventOutcome, "success".into()),
        (Field::EventSource, "kernel".into()),
        (Field::FilePath, path.into()),
        (Field::FileInode, 42u64.into()),
        (Field::FileDevice, 64_768u64.into()),
        (Field::FileMode, 0o640u64.into()),
        (Field::FileOwner, 0u64.into()),
        (Field::FileGroup, 42u64.into()),
        (Field::FileType, "regular".into()),
        (Field::FileFilesystem, "ext4".into()),
        (Field::FileHostNamespace, true.into()),
        (Field::FileSize, 1_024u64.into()),
    ])
}

fn refused(row: Row) -> Row {
    row.with(Field::EventOutcome, "failure").with(Field::ErrorCode, "EACCES")
}

fn credentials() -> Row {
    row([
        (Field::EventOutcome, "success".into()),
        (Field::EventSource, "kernel".into()),
        (Field::ProcessOldUserId, 1000u64.into()),
        (Field::ProcessNewUserId, 0u64.into()),
        (Field::ProcessOldRealUserId, 1000u64.into()),
        (Field::ProcessNewRealUserId, 0u64.into()),
        (Field::ProcessOldGroupId, 1000u64.into()),
        (Field::ProcessNewGroupId, 0u64.into()),
        (Field::ProcessOldCapabilities, 0u64.into()),
        (Field::ProcessNewCapabilities, 0x1ff_ffff_ffffu64.into()),
    ])
}

fn target() -> Row {
    row([
        (Field::EventOutcome, "failure".into()),
        (Field::ErrorCode, "EPERM".into()),
        (Field::EventSource, "kernel".into()),
        (Field::TargetProcessEntityId, "00c0ffee00c0ffee".into()),
        (Field::TargetProcessPid, 612u64.into()),
        (Field::TargetProcessExecutable, "/usr/sbin/sshd".into()),
    ])
}

fn connection() -> Row {
    let (from, to): (std::net::IpAddr, std::net::IpAddr) = ([10, 20, 0, 7].into(), [203, 0, 113, 9].into());
    row([
        (Field::SourceIp, from.into()),
        (Field::SourcePort, 40_000u64.into()),
        (Field::DestinationIp, to.into()),
        (Field::DestinationPort, 443u64.into()),
        (Field::NetworkTransport, "tcp".into()),
        (Field::NetworkSocketCookie, 9_001u64.into()),
    ])
}

fn connection_over_ipv6() -> Row {
    let address = |last: u16| std::net::IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
    connection().with(Field::SourceIp, address(9)).with(Field::DestinationIp, address(7))
}

fn failed(code: &'static str) -> Row {
    connection()
        .with(Field::EventOutcome, "failure")
        .with(Field::ErrorCode, code)
        .with(Field::NetworkDirection, "outbound")
}

fn message() -> Row {
    connection()
        .with(Field::EventOutcome, "success")
        .with(Field::DestinationPort, 53u64)
        .with(Field::NetworkTransport, "udp")
        .with(Field::DnsQuestionName, "www.example.org")
        .with(Field::DnsQuestionType, "A")
        .with(Field::DnsId, 1_234u64)
        .with(Field::DnsOpCode, "QUERY")
        .with(Field::DnsHeaderFlags, list(&["RD", "RA"]))
        .with(Field::DnsRepeats, 3u64)
}

fn at_place() -> Row {
    file("/mnt/usb").with(Field::FileType, "directory").with(Field::FileTargetPath, "/dev/sdb1")
}

fn events() -> Vec<(Event, Who)> {
    let mut events = Vec::new();
    let mut push = |kind, row, who| events.push((event(kind, row), who));
    push(Kind::FORK, Row::default(), Who::Bash);
    push(Kind::EXEC, Row::default(), Who::Bash);
    let ended = Row::default().with(Field::ProcessExitCode, Value::Int(137)).with(Field::SignalNumber, 9u64);
    push(Kind::EXIT, ended.with(Field::ProcessDurationNs, 1_500_000_000u64), Who::Bash);
    for kind in [Kind::SETUID, Kind::SETGID, Kind::CAPSET] {
        push(kind, credentials(), Who::Bash);
    }
    push(Kind::PTRACE, target(), Who::Bash);
    push(Kind::SIGNAL, target().with(Field::SignalNumber, 9u64), Who::Bash);
    push(Kind::SIGNAL, target().with(Field::SignalNumber, 19u64), Who::Bash);
    let memory = row([(Field::MemoryProtection, list(&["read", "write", "exec"]))]);
    push(Kind::MPROTECT_EXEC, memory, Who::Bash);
    let memfd = row([(Field::FilePath, "/memfd:payload".into()), (Field::FileInode, 7u64.into())]);
    push(Kind::MEMFD_CREATE, memfd, Who::Bash);
    push(Kind::PROCESS_VM_WRITE, target(), Who::Bash);

    push(Kind::FILE_OPEN, file("/etc/shadow").with(Field::FileAccess, list(&["read", "write"])), Who::Bash);
    push(Kind::FILE_CREATE, file("/tmp/a").with(Field::FileAccess, list(&["write"])), Who::Bash);
    for kind in [Kind::FILE_UNLINK, Kind::FILE_CHMOD, Kind::FILE_CHOWN, Kind::FILE_TRUNCATE] {
        push(kind, file("/tmp/a"), Who::Bash);
    }
    push(Kind::FILE_UNLINK, refused(file("/etc/passwd")), Who::Bash);
    for kind in [Kind::FILE_RENAME, Kind::FILE_LINK, Kind::FILE_SYMLINK] {
        push(kind, file("/tmp/a").with(Field::FileTargetPath, "/tmp/b"), Who::Bash);
    }
    push(Kind::FILE_SETXATTR, file("/tmp/a").with(Field::FileXattr, "security.capability"), Who::Bash);
    let mapped = file("/usr/lib/libc.so.6").with(Field::FileAccess, list(&["exec"]));
    push(Kind::FILE_MMAP_EXEC, mapped.clone(), Who::Pod);
    push(Kind::FILE_MMAP_EXEC, refused(mapped), Who::Pod);

    push(Kind::CONNECT, connection().with(Field::NetworkSourceIsn, 1u64), Who::Bash);
    for code in ["ECONNREFUSED", "ECONNRESET", "ETIMEDOUT"] {
        push(Kind::CONNECT_FAILED, failed(code), Who::Bash);
    }
    push(Kind::ACCEPT, connection_over_ipv6(), Who::Pod);
    push(Kind::SERVE, connection().with(Field::NetworkAcceptEntityId, "00c0ffee00c0ffee"), Who::Pod);
    push(Kind::SEND, connection().with(Field::NetworkTransport, "udp"), Who::Bash);
    for direction in ["outbound", "inbound"] {
        let closed = connection()
            .with(Field::NetworkDirection, direction)
            .with(Field::NetworkBytes, 3_000u64)
            .with(Field::SourceBytes, 1_000u64)
            .with(Field::DestinationBytes, 2_000u64)
            .with(Field::NetworkPackets, 9u64)
            .with(Field::SourcePackets, 4u64)
            .with(Field::DestinationPackets, 5u64);
        push(Kind::CLOSE, closed, Who::Pod);
    }
    push(Kind::LISTEN, connection(), Who::Pod);
    push(Kind::BIND, connection(), Who::Pod);
    let raw = row([
        (Field::NetworkTransport, "packet".into()),
        (Field::NetworkProtocolNumber, 2_048u64.into()),
        (Field::NetworkSocketCookie, 9_002u64.into()),
    ]);
    push(Kind::SOCKET, raw, Who::Bash);

    push(Kind::DNS_QUERY, message(), Who::Bash);
    push(Kind::DNS_QUERY, refused(message()), Who::Bash);
    let answer = message().with(Field::DnsAnswers, list(&["web.example.org", "192.0.2.1"]));
    push(Kind::DNS_ANSWER, answer.with(Field::DnsResponseCode, "NOERROR"), Who::Bash);

    push(Kind::MODULE_LOAD, row([(Field::KernelObjectName, "nf_tables".into())]), Who::Bash);
    let bpf = row([
        (Field::KernelObjectName, "trace_open".into()),
        (Field::KernelObjectType, "kprobe".into()),
        (Field::KernelObjectAttach, "do_sys_openat2".into()),
    ]);
    push(Kind::BPF_LOAD, bpf, Who::Bash);
    push(Kind::MOUNT, at_place().with(Field::KernelObjectName, "vfat"), Who::Bash);
    push(Kind::UNMOUNT, at_place(), Who::Bash);
    let moved = row([
        (Field::EventSource, "kernel".into()),
        (Field::NamespaceChanged, list(&["mnt", "pid"])),
        (Field::NamespaceMnt, 4_026_532_700u64.into()),
        (Field::NamespacePid, 4_026_532_701u64.into()),
    ]);
    push(Kind::NAMESPACE_CHANGE, moved, Who::Bash);
    for kind in [Kind::CHROOT, Kind::PIVOT_ROOT, Kind::KEXEC] {
        push(kind, file("/srv/jail"), Who::Bash);
    }
    let setting = file("/proc/sys/kernel/core_pattern")
        .with(Field::KernelObjectName, "kernel.core_pattern")
        .with(Field::KernelObjectValue, "|/tmp/x %p");
    push(Kind::SYSCTL, setting.clone(), Who::Bash);
    push(Kind::IO_URING_SETUP, Row::default(), Who::Bash);
    let call = row([
        (Field::EventOutcome, "failure".into()),
        (Field::ErrorCode, "ENOENT".into()),
        (Field::SyscallNumber, 257u64.into()),
        (Field::SyscallArgs, list(&["4294967196", "140737488347000", "0", "0", "0", "0"])),
        (Field::SyscallResult, Value::Int(-2)),
    ]);
    push(Kind::call("openat").expect("a call of this name"), call, Who::Bash);

    push(Kind::CONTAINER_START, Row::default(), Who::Pod);
    push(Kind::CONTAINER_STOP, row([(Field::ProcessExitCode, Value::Int(0))]), Who::Pod);

    push(Kind::ESCAPE_HOST_NAMESPACE, row([(Field::NamespaceChanged, list(&["mnt"]))]), Who::Pod);
    push(Kind::ESCAPE_HOST_MOUNT, at_place().with(Field::KernelObjectName, "ext4"), Who::Pod);
    push(Kind::ESCAPE_RELEASE_AGENT, file("/sys/fs/cgroup/rdma/release_agent"), Who::Pod);
    for kind in [Kind::ESCAPE_CORE_PATTERN, Kind::ESCAPE_MODPROBE] {
        push(kind, setting.clone(), Who::Pod);
    }
    push(Kind::ESCAPE_RUNTIME_SOCKET, file("/run/docker.sock").with(Field::FileType, "socket"), Who::Pod);
    push(Kind::ESCAPE_OUTSIDE_ROOT, file("/etc/shadow"), Who::Pod);

    let version = || row([(Field::SensorVersion, "0.1.0".into()), (Field::SensorReason, "start".into())]);
    push(Kind::SENSOR_STARTED, version(), Who::Nobody);
    push(Kind::SENSOR_STOPPED, version(), Who::Nobody);
    let counted = || row([(Field::SensorLost, 3u64.into()), (Field::SensorDropped, 4u64.into())]);
    push(Kind::SENSOR_HEARTBEAT, counted(), Who::Nobody);
    push(Kind::SENSOR_LOSS, counted().with(Field::SensorUnreadNs, 5u64), Who::Nobody);
    for (outcome, returned) in [("success", 60u64), ("failure", 0)] {
        let canary = row([
            (Field::EventOutcome, outcome.into()),
            (Field::SensorCanarySent, 60u64.into()),
            (Field::SensorCanaryReturned, returned.into()),
            (Field::SensorCanaryDelayNs, 1_000_000u64.into()),
        ]);
        push(Kind::SENSOR_CANARY, canary, Who::Nobody);
    }
    let touched = row([
        (Field::SensorReason, "a link is gone".into()),
        (Field::SensorTampered, list(&["link process_exec"])),
        (Field::SensorRepaired, true.into()),
    ]);
    push(Kind::SENSOR_TAMPER, touched, Who::Bash);
    let later = row([(Field::FilePath, Value::Keyword(Bytes::from_static(b"/tmp/\xff")))]);
    push(Kind::new(7_000), later, Who::Bash);
    events
}
