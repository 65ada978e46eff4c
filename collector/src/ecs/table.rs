//! Where our fields stand in ECS, with the types that ECS gives them: ids are texts there.

use wire::field::Field;

use crate::shape::{Attribute, Codes, FieldSet, Form, From};

/// A host's point of view, as ECS calls it.
const DIRECTIONS: Codes = Codes::new(&[("inbound", 0, "ingress"), ("outbound", 0, "egress")]);
const FILE_TYPES: Codes = Codes::new(&[("regular", 0, "file"), ("directory", 0, "dir")]);

/// What a subject is, beside its process.
pub const OF_SUBJECT: &[Attribute] = &[
    Attribute::object(
        "user",
        &[
            Attribute::field("id", Field::ProcessUserId, Form::Text),
            Attribute::plain("name", Field::ProcessUserName),
        ],
    ),
    Attribute::object(
        "container",
        &[
            Attribute::plain("id", Field::ContainerId),
            Attribute::plain("name", Field::ContainerName),
            Attribute::plain("runtime", Field::ContainerRuntime),
            Attribute::object("image", &[Attribute::plain("name", Field::ContainerImageName)]),
        ],
    ),
    Attribute::object(
        "orchestrator",
        &[
            Attribute::always("type", r#""kubernetes""#),
            Attribute::plain("namespace", Field::KubernetesNamespace),
            Attribute::object(
                "resource",
                &[
                    Attribute::always("type", r#""pod""#),
                    Attribute::plain("name", Field::KubernetesPodName),
                    Attribute::plain("id", Field::KubernetesPodUid),
                    Attribute::plain("label", Field::KubernetesLabels),
                ],
            ),
        ],
    ),
];

/// `process`: what the subject says of it.
pub const PROCESS: &[Attribute] = &[
    Attribute::plain("entity_id", Field::ProcessEntityId),
    Attribute::plain("pid", Field::ProcessPid),
    Attribute::plain("name", Field::ProcessName),
    Attribute::plain("executable", Field::ProcessExecutable),
    Attribute::plain("args", Field::ProcessArgs),
    Attribute::plain("args_count", Field::ProcessArgsCount),
    Attribute::plain("command_line", Field::ProcessCommandLine),
    Attribute::plain("working_directory", Field::ProcessWorkingDirectory),
    Attribute::plain("start", Field::ProcessStart),
    Attribute::plain("interactive", Field::ProcessInteractive),
    Attribute::object(
        "user",
        &[
            Attribute::field("id", Field::ProcessUserId, Form::Text),
            Attribute::plain("name", Field::ProcessUserName),
        ],
    ),
    Attribute::object("real_user", &[Attribute::field("id", Field::ProcessRealUserId, Form::Text)]),
    Attribute::object("group", &[Attribute::field("id", Field::ProcessGroupId, Form::Text)]),
    Attribute::object("hash", &[Attribute::plain("sha256", Field::ProcessHashSha256)]),
    Attribute::object(
        "thread",
        &[Attribute::object(
            "capabilities",
            &[Attribute::field("effective", Field::ProcessCapabilities, Form::Capabilities)],
        )],
    ),
    Attribute::object(
        "parent",
        &[
            Attribute::plain("entity_id", Field::ProcessParentEntityId),
            Attribute::plain("pid", Field::ProcessParentPid),
            Attribute::plain("name", Field::ProcessParentName),
            Attribute::plain("executable", Field::ProcessParentExecutable),
            Attribute::plain("command_line", Field::ProcessParentCommandLine),
        ],
    ),
];

/// `process`: what the event says of it.
pub const PROCESS_OF_EVENT: &[Attribute] = &[Attribute::plain("exit_code", Field::ProcessExitCode)];

/// What else an event has.
pub const OF_EVENT: &[Attribute] = &[
    Attribute::object("error", &[Attribute::plain("code", Field::ErrorCode)]),
    Attribute::object("rule", &[Attribute::plain("name", Field::RuleName)]),
    Attribute::object(
        "file",
        &[
            Attribute::plain("path", Field::FilePath),
            Attribute::field("name", Field::FilePath, Form::Base),
            Attribute::plain("target_path", Field::FileTargetPath),
            Attribute::field("inode", Field::FileInode, Form::Text),
            Attribute::field("device", Field::FileDevice, Form::Text),
            Attribute::field("mode", Field::FileMode, Form::Octal),
            Attribute::field("uid", Field::FileOwner, Form::Text),
            Attribute::field("gid", Field::FileGroup, Form::Text),
            Attribute::field("type", Field::FileType, Form::Caption(&FILE_TYPES)),
            Attribute::plain("size", Field::FileSize),
        ],
    ),
    Attribute::object(
        "source",
        &[
            Attribute::plain("ip", Field::SourceIp),
            Attribute::plain("port", Field::SourcePort),
            Attribute::plain("bytes", Field::SourceBytes),
            Attribute::plain("packets", Field::SourcePackets),
        ],
    ),
    Attribute::object(
        "destination",
        &[
            Attribute::plain("ip", Field::DestinationIp),
            Attribute::plain("port", Field::DestinationPort),
            Attribute::plain("bytes", Field::DestinationBytes),
            Attribute::plain("packets", Field::DestinationPackets),
        ],
    ),
    Attribute::object(
        "network",
        &[
            Attribute::plain("transport", Field::NetworkTransport),
            Attribute {
                name: "type",
                from: From::Either(Field::DestinationIp, Field::SourceIp, Form::IpType),
            },
            Attribute::field("direction", Field::NetworkDirection, Form::Caption(&DIRECTIONS)),
            Attribute::plain("bytes", Field::NetworkBytes),
            Attribute::plain("packets", Field::NetworkPackets),
        ],
    ),
    Attribute::object(
        "dns",
        &[
            Attribute::field("id", Field::DnsId, Form::Text),
            Attribute::plain("op_code", Field::DnsOpCode),
            Attribute::object(
                "question",
                &[
                    Attribute::plain("name", Field::DnsQuestionName),
                    Attribute::plain("type", Field::DnsQuestionType),
                ],
            ),
            Attribute::field("answers", Field::DnsAnswers, Form::Each("data")),
            Attribute::plain("response_code", Field::DnsResponseCode),
            Attribute::plain("header_flags", Field::DnsHeaderFlags),
        ],
    ),
];

/// What [`super::event`] writes of every event by itself.
const BY_HAND: FieldSet = FieldSet::EMPTY
    .with(Field::Timestamp)
    .with(Field::EventId)
    .with(Field::EventSequence)
    .with(Field::EventCategory)
    .with(Field::EventAction)
    .with(Field::EventOutcome)
    .with(Field::EventSensorTime)
    .with(Field::EventIngested)
    .with(Field::SensorReason)
    .with(Field::HostId)
    .with(Field::HostName)
    .with(Field::HostTags)
    .with(Field::HostBootId);

/// The fields that have their place in ECS.
pub const MAPPED: FieldSet = BY_HAND
    .union(Attribute::fields(OF_SUBJECT))
    .union(Attribute::fields(PROCESS))
    .union(Attribute::fields(PROCESS_OF_EVENT))
    .union(Attribute::fields(OF_EVENT));
