//! The names of the query language, once.
//!
//! Search, tail, rules, detections, the API, the CLI and the console all use these. The spelling
//! is the Elastic Common Schema's where it has the field. A field's number is what a batch's
//! columns carry: it is never reused and never changes its type.

use std::fmt;

use crate::value::FieldType;

/// Where a field's value comes from when an event is read out of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// One value for a whole batch: who sent it and in which boot.
    Batch,
    /// A column of the group of the event's kind.
    Event,
    /// A column of the subject table, by the event's subject.
    Subject,
    /// The given subject field, of the subject's parent.
    Parent(Field),
    /// The given subject field, of every local ancestor of the subject (the parent first).
    Ancestor(Field),
    /// Worked out from other parts of the batch; how is said beside each.
    Computed,
    /// Known only to the store: when it was received, or what other hosts tell.
    Store,
}

macro_rules! fields {
    ($($n:literal $variant:ident $name:literal $ty:ident $place:expr, $about:literal;)*) => {
        /// A name of the query language.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u16)]
        #[non_exhaustive]
        pub enum Field {
            $(#[doc = $about] $variant = $n,)*
        }

        impl Field {
            /// Every field, in the order of their numbers.
            pub const ALL: &[Field] = &[$(Field::$variant),*];

            /// The name as typed in a query and nested in JSON.
            pub const fn name(self) -> &'static str {
                match self { $(Field::$variant => $name,)* }
            }

            /// What it holds.
            pub const fn field_type(self) -> FieldType {
                match self { $(Field::$variant => FieldType::$ty,)* }
            }

            /// One sentence for help texts.
            pub const fn about(self) -> &'static str {
                match self { $(Field::$variant => $about,)* }
            }

            /// Where its value is found.
            pub const fn place(self) -> Place {
                use Place::{Ancestor, Batch, Computed, Event, Parent, Store, Subject};
                match self { $(Field::$variant => $place,)* }
            }

            /// The field with this number, if this version knows one.
            pub const fn from_number(n: u16) -> Option<Field> {
                match n { $($n => Some(Field::$variant),)* _ => None }
            }

            /// The field with this name (fields are spelt in lower case).
            pub fn from_name(name: &str) -> Option<Field> {
                match name { $($name => Some(Field::$variant),)* _ => None }
            }
        }
    };
}

fields! {
    // Every event.
    1 Timestamp "@timestamp" Time Computed, "When it happened, corrected to the collector's clock when the batch was sealed.";
    2 EventSensorTime "event.sensor_time" Time Computed, "When it happened by the host's own clock.";
    3 EventIngested "event.ingested" Time Store, "When the collector received it.";
    4 EventId "event.id" Keyword Computed, "The event's name: host.epoch.lane.sequence, the same after a resend.";
    5 EventCategory "event.category" Keyword Computed, "The family of the action: process, file, network, dns, kernel, container, syscall, …";
    6 EventAction "event.action" Keyword Computed, "What was done: exec, connect, open, …; of a system call its name.";
    7 EventOutcome "event.outcome" Keyword Event, "success or failure.";
    8 EventSequence "event.sequence" Uint Computed, "The event's number in its stream.";
    9 EventSource "event.source" Keyword Event, "kernel, or syscall where only a system call's arguments were seen.";
    10 HostId "host.id" Keyword Batch, "The host's UUID, from its certificate.";
    11 HostName "host.name" Keyword Batch, "The host's name when it connected.";
    12 HostTags "host.tags" KeywordList Batch, "The tags given at enrolment, as key=value.";
    13 HostBootId "host.boot.id" Keyword Batch, "The boot during which it happened.";
    14 RuleName "rule.name" KeywordList Event, "The rules that matched.";
    15 RuleAction "rule.action" KeywordList Event, "What each of those rules asks for.";
    16 RuleMode "rule.mode" KeywordList Event, "observe or enforce, of each of those rules.";
    17 RuleVerdict "rule.verdict" Keyword Event, "observed, denied or killed.";
    18 ErrorCode "error.code" Keyword Event, "Why it failed, by the error's name: EACCES, ECONNREFUSED, …";

    // The acting process.
    30 ProcessEntityId "process.entity_id" Keyword Computed, "The process, fleet-wide: a hash of host, boot, start and pid.";
    31 ProcessPid "process.pid" Uint Computed, "The process id (thread-group id).";
    32 ProcessName "process.name" Keyword Computed, "The last part of the executable's path.";
    33 ProcessExecutable "process.executable" Keyword Subject, "The path of the file it runs, as its mount namespace has it.";
    34 ProcessArgs "process.args" KeywordList Subject, "Its arguments.";
    35 ProcessArgsCount "process.args_count" Uint Subject, "How many arguments there were, kept or not.";
    36 ProcessCommandLine "process.command_line" Keyword Computed, "The arguments joined by blanks.";
    37 ProcessWorkingDirectory "process.working_directory" Keyword Subject, "Its working directory at exec.";
    38 ProcessStart "process.start" Time Computed, "When it started, corrected like @timestamp.";
    39 ProcessUserId "process.user.id" Uint Subject, "Its effective user id.";
    40 ProcessUserName "process.user.name" Keyword Subject, "That user's name on the host.";
    41 ProcessRealUserId "process.real_user.id" Uint Subject, "Its real user id.";
    42 ProcessGroupId "process.group.id" Uint Subject, "Its effective group id.";
    43 ProcessLoginUserId "process.login_user.id" Uint Subject, "The user that logged in (audit loginuid).";
    44 ProcessSessionId "process.session_id" Uint Subject, "Its session (setsid).";
    45 ProcessTty "process.tty" Keyword Subject, "Its controlling terminal.";
    46 ProcessInteractive "process.interactive" Bool Subject, "Whether it has a controlling terminal.";
    47 ProcessCapabilities "process.capabilities" Uint Subject, "Its effective capabilities: asked for and shown by name (CAP_SYS_ADMIN); a number asks for the whole mask.";
    48 ProcessExitCode "process.exit_code" Int Event, "The code it exited with, or 128 plus the signal.";
    49 ProcessTruncated "process.truncated" Bool Subject, "Whether arguments or paths were cut.";
    50 ProcessRedacted "process.redacted" Bool Subject, "Whether secrets were replaced in its arguments.";
    51 ProcessHashSha256 "process.hash.sha256" Keyword Subject, "SHA-256 of the executable, in hex.";
    52 ProcessScript "process.script" Keyword Subject, "The script that a #! line ran.";
    53 ProcessImageDeleted "process.image.deleted" Bool Subject, "Whether the executable had been unlinked.";
    54 ProcessImageMemfd "process.image.memfd" Bool Subject, "Whether it runs from memory only.";
    55 ProcessImageInode "process.image.inode" Uint Subject, "The executable's inode.";
    56 ProcessImageDevice "process.image.device" Uint Subject, "The executable's device number.";
    57 ProcessImageWritableMount "process.image.writable_mount" Bool Subject, "Whether its mount is writable.";
    58 ProcessImageHostFile "process.image.host_file" Bool Subject, "Whether the path names the same file in the host's own mount namespace.";
    59 ProcessIoStdin "process.io.stdin" Keyword Subject, "What standard input is: tty, file, pipe, socket or null.";
    60 ProcessIoStdout "process.io.stdout" Keyword Subject, "What standard output is.";
    61 ProcessIoStderr "process.io.stderr" Keyword Subject, "What standard error is.";
    62 ProcessDurationNs "process.duration_ns" Uint Event, "How long it lived, in ns, on exit.";
    63 ProcessArgsBytes "process.args_bytes" Uint Subject, "The true length of its arguments in bytes, kept or not.";
    64 ProcessMntNs "process.namespace.mnt" Uint Subject, "The inode of its mount namespace.";
    65 ProcessPidNs "process.namespace.pid" Uint Subject, "The inode of its pid namespace.";
    66 ProcessNetNs "process.namespace.net" Uint Subject, "The inode of its network namespace.";
    67 ProcessUserNs "process.namespace.user" Uint Subject, "The inode of its user namespace.";
    68 ProcessCgroup "process.cgroup" Keyword Subject, "The path of its control group.";

    80 ProcessParentEntityId "process.parent.entity_id" Keyword Parent(Field::ProcessEntityId), "The parent at the fork.";
    81 ProcessParentPid "process.parent.pid" Uint Parent(Field::ProcessPid), "The parent's process id.";
    82 ProcessParentName "process.parent.name" Keyword Parent(Field::ProcessName), "The last part of the parent's executable.";
    83 ProcessParentExecutable "process.parent.executable" Keyword Parent(Field::ProcessExecutable), "What the parent ran at the fork.";
    84 ProcessParentCommandLine "process.parent.command_line" Keyword Parent(Field::ProcessCommandLine), "The parent's arguments.";
    85 ProcessAncestorEntityId "process.ancestor.entity_id" KeywordList Ancestor(Field::ProcessEntityId), "Any ancestor on this host.";
    86 ProcessAncestorName "process.ancestor.name" KeywordList Ancestor(Field::ProcessName), "The last part of any local ancestor's executable.";
    87 ProcessAncestorExecutable "process.ancestor.executable" KeywordList Ancestor(Field::ProcessExecutable), "The executable of any ancestor on this host.";

    100 ContainerId "container.id" Keyword Subject, "The container's id, from the control group's path.";
    101 ContainerName "container.name" Keyword Subject, "The container's name.";
    102 ContainerImageName "container.image.name" Keyword Subject, "The image the container runs.";
    103 ContainerRuntime "container.runtime" Keyword Subject, "docker, podman, containerd, cri-o, …";
    104 KubernetesNamespace "kubernetes.namespace" Keyword Subject, "The pod's namespace.";
    105 KubernetesPodName "kubernetes.pod.name" Keyword Subject, "The pod's name.";
    106 KubernetesPodUid "kubernetes.pod.uid" Keyword Subject, "The pod's uid, from the control group's path.";
    107 KubernetesLabels "kubernetes.labels" KeywordList Subject, "The pod's labels, as key=value.";

    120 LineageAncestorEntityId "lineage.ancestor.entity_id" KeywordList Store, "Any ancestor, across hosts; search and trees only.";
    121 LineageAncestorName "lineage.ancestor.name" KeywordList Store, "The name of any ancestor, across hosts; search and trees only.";
    122 LineageAncestorExecutable "lineage.ancestor.executable" KeywordList Store, "The executable of any ancestor, across hosts; search and trees only.";
    123 LineageAncestorHostName "lineage.ancestor.host.name" KeywordList Store, "The host of any ancestor; search and trees only.";

    // Actions upon another process.
    140 TargetProcessEntityId "target.process.entity_id" Keyword Event, "The process acted upon.";
    141 TargetProcessPid "target.process.pid" Uint Event, "Its process id.";
    142 TargetProcessExecutable "target.process.executable" Keyword Event, "What it runs.";
    143 SignalNumber "signal.number" Uint Event, "The signal sent.";
    144 ProcessOldUserId "process.old.user.id" Uint Event, "The effective user id before it was changed.";
    145 ProcessNewUserId "process.new.user.id" Uint Event, "The effective user id after it was changed.";
    146 ProcessOldRealUserId "process.old.real_user.id" Uint Event, "The real user id before it was changed.";
    147 ProcessNewRealUserId "process.new.real_user.id" Uint Event, "The real user id after it was changed.";
    148 ProcessOldGroupId "process.old.group.id" Uint Event, "The effective group id before it was changed.";
    149 ProcessNewGroupId "process.new.group.id" Uint Event, "The effective group id after it was changed.";
    150 ProcessOldCapabilities "process.old.capabilities" Uint Event, "The effective capabilities before they were changed, as a mask.";
    151 ProcessNewCapabilities "process.new.capabilities" Uint Event, "The effective capabilities after they were changed, as a mask.";

    // Files.
    160 FilePath "file.path" Keyword Event, "The file's path, as the task's mount namespace has it.";
    161 FileTargetPath "file.target_path" Keyword Event, "The other path of a rename or link.";
    162 FileInode "file.inode" Uint Event, "Its inode.";
    163 FileDevice "file.device" Uint Event, "Its device number.";
    164 FileMode "file.mode" Uint Event, "Its permission bits.";
    165 FileOwner "file.owner" Uint Event, "Its owner's user id.";
    166 FileAccess "file.access" KeywordList Event, "read, write, exec.";
    167 FileTruncated "file.truncated" Bool Event, "Whether the path was cut.";
    168 FileType "file.type" Keyword Event, "regular, directory, symlink, fifo, socket, block or char.";
    169 FileFilesystem "file.filesystem" Keyword Event, "The type of the file system it is on: ext4, tmpfs, overlay, …";
    170 FileHostNamespace "file.host_namespace" Bool Event, "Whether the path is as the host's own mount namespace has it.";
    171 FileXattr "file.xattr" Keyword Event, "The extended attribute that was set.";
    172 FileGroup "file.group" Uint Event, "Its group id.";
    173 FileSize "file.size" Uint Event, "Its length in bytes.";

    // Network.
    180 SourceIp "source.ip" Ip Event, "The address that opened the connection.";
    181 SourcePort "source.port" Uint Event, "Its port.";
    182 DestinationIp "destination.ip" Ip Event, "The address that was connected to, or that a socket is bound to.";
    183 DestinationPort "destination.port" Uint Event, "Its port.";
    184 NetworkTransport "network.transport" Keyword Event, "tcp, udp, udplite; of sockets that are made: raw, packet, xdp, icmp, ipv6-icmp.";
    185 NetworkType "network.type" Keyword Computed, "ipv4 or ipv6, from the addresses.";
    186 NetworkDirection "network.direction" Keyword Computed, "outbound for connect and send, inbound for accept and serve; a column where the kind does not say.";
    187 NetworkBytes "network.bytes" Uint Event, "Bytes both ways, on close.";
    188 NetworkPackets "network.packets" Uint Event, "Packets both ways, on close.";
    189 NetworkPeerEntityId "network.peer.entity_id" Keyword Store, "The process at the other end, when both ends are ours; search only.";
    190 SourceBytes "source.bytes" Uint Event, "Bytes sent by the side that connected, on close.";
    191 DestinationBytes "destination.bytes" Uint Event, "Bytes sent by the side that accepted, on close.";
    192 NetworkSourceIsn "network.source_isn" Uint Event, "Initial sequence number of the side that connected.";
    193 NetworkDestinationIsn "network.destination_isn" Uint Event, "Initial sequence number of the side that accepted.";
    194 NetworkSocketCookie "network.socket_cookie" Uint Event, "The kernel's number for the socket, within one boot.";
    195 NetworkAcceptEntityId "network.accepted_by.entity_id" Keyword Event, "The process that accepted, where another one serves.";
    196 NetworkProtocolNumber "network.protocol_number" Uint Event, "The protocol that a raw socket was made for, by IP's number for it; of a packet socket the EtherType.";
    197 NetworkManyPeers "network.many_peers" Bool Event, "Whether it stands for all further peers of a UDP socket that had too many for each to be told.";
    198 SourcePackets "source.packets" Uint Event, "Packets sent by the side that connected or sent first, on close.";
    199 DestinationPackets "destination.packets" Uint Event, "Packets sent by the other side, on close.";

    // DNS.
    200 DnsQuestionName "dns.question.name" Keyword Event, "The name asked for, in lower case, without a dot at its end.";
    201 DnsQuestionType "dns.question.type" Keyword Event, "A, AAAA, TXT, …";
    202 DnsAnswers "dns.answers" KeywordList Event, "The answers, as text: addresses, names, …";
    203 DnsResponseCode "dns.response_code" Keyword Event, "NOERROR, NXDOMAIN, …";
    204 DnsId "dns.id" Uint Event, "The message's number, by which an answer finds its query.";
    205 DnsOpCode "dns.op_code" Keyword Event, "QUERY, UPDATE, NOTIFY, …";
    206 DnsHeaderFlags "dns.header_flags" KeywordList Event, "AA, TC, RD, RA, AD, CD.";
    207 DnsTruncated "dns.truncated" Bool Event, "Whether the message, or what is told of it, was cut by the sensor; TC says that the server did.";
    208 DnsRepeats "dns.repeats" Uint Event, "How many messages like it this one stands for, where a process repeats itself.";

    // The kernel.
    220 KernelObjectName "kernel.object.name" Keyword Event, "The name of what was loaded into the kernel; of a mount the file system's type.";
    221 NamespaceChanged "namespace.changed" KeywordList Event, "Which of a process's namespaces are others now: mnt, pid, net, uts, ipc, cgroup, user.";
    222 NamespaceMnt "namespace.mnt" Uint Event, "The inode of the mount namespace it lives in now.";
    223 NamespacePid "namespace.pid" Uint Event, "The inode of the pid namespace that its children will live in.";
    224 NamespaceNet "namespace.net" Uint Event, "The inode of the network namespace it lives in now.";
    225 NamespaceUser "namespace.user" Uint Event, "The inode of the user namespace it lives in now.";
    226 KernelObjectType "kernel.object.type" Keyword Event, "The type of a BPF program: kprobe, tracing, lsm, xdp, …";
    227 KernelObjectAttach "kernel.object.attach" Keyword Event, "What a BPF program is made to be attached to, as far as it was said when it was loaded.";
    228 KernelObjectValue "kernel.object.value" Keyword Event, "What a setting of the kernel was set to, up to 159 bytes.";
    229 MemoryProtection "memory.protection" KeywordList Event, "What may be done to memory: read, write, exec.";

    // System calls.
    230 SyscallNumber "syscall.number" Uint Event, "The number of a system call, as its architecture has it.";
    231 SyscallArgs "syscall.args" KeywordList Event, "Its six arguments as they stood in the registers, each as a number without a sign.";
    232 SyscallResult "syscall.result" Int Event, "What it returned; below 0 an error's number.";

    // The sensor's own events.
    240 SensorVersion "sensor.version" Keyword Event, "The sensor's version.";
    241 SensorReason "sensor.reason" Keyword Event, "Why it happened.";
    242 SensorLost "sensor.lost" Uint Event, "Records the kernel could not hand over.";
    243 SensorDropped "sensor.dropped" Uint Event, "Events the sensor's bounds dropped.";
    244 SensorGeneration "sensor.generation" Uint Event, "The ruleset's generation.";
    245 SensorCollection "sensor.collection" Keyword Batch, "The digest of the collection by which it was shipped, in hex.";
    246 SensorBlind "sensor.blind" KeywordList Event, "What is not told at present though the kernel can show it: process.fork, file.open, …";
    247 SensorCanarySent "sensor.canary.sent" Uint Event, "How often the sensor did what its programs must tell, since the last such event.";
    248 SensorCanaryReturned "sensor.canary.returned" Uint Event, "How often they told all of it.";
    249 SensorCanaryDelayNs "sensor.canary.delay_ns" Uint Event, "The longest time until they had, in ns.";
    250 SensorTampered "sensor.tampered" KeywordList Event, "What of the sensor's own was touched: link process_exec, map filter, file host.pem, …";
    251 SensorRepaired "sensor.repaired" Bool Event, "Whether the sensor has put that right.";
    252 SensorUnreadNs "sensor.unread_ns" Uint Event, "How long the programs told nothing, as no sensor had read for too long, in ns.";
}

impl Field {
    /// The number that stands for it in a batch.
    pub const fn number(self) -> u16 {
        self as u16
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_lead_back() {
        for &field in Field::ALL {
            assert_eq!(Field::from_number(field.number()), Some(field));
            assert_eq!(Field::from_name(field.name()), Some(field));
        }
        assert_eq!(Field::from_name("process.pidd"), None);
        assert_eq!(Field::from_number(0), None);
    }
}
