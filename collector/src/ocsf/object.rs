//! Objects of OCSF that events of several kinds have: files, endpoints, connections, outcomes.

use wire::field::Field;

use super::codes::{DIRECTIONS, FILE_TYPES, OUTCOMES, PROTOCOLS};
use crate::shape::{Attribute, Form, From};

/// How it came out.
pub const STATUS: &[Attribute] = &[
    Attribute::field("status_id", Field::EventOutcome, Form::Code(&OUTCOMES)),
    Attribute::field("status", Field::EventOutcome, Form::Caption(&OUTCOMES)),
    Attribute::plain("status_code", Field::ErrorCode),
];

/// A finding's: it has just been made. How the deed came out stands in `unmapped`.
pub const FINDING_STATUS: &[Attribute] =
    &[Attribute::always("status_id", "1"), Attribute::always("status", r#""New""#)];

/// What is known of the file of an event.
pub const FILE: &[Attribute] = &[
    Attribute { name: "name", from: From::FieldOr(Field::FilePath, Form::Base, UNKNOWN) },
    Attribute::plain("path", Field::FilePath),
    Attribute { name: "type_id", from: From::FieldOr(Field::FileType, Form::Code(&FILE_TYPES), "0") },
    Attribute::field("type", Field::FileType, Form::Caption(&FILE_TYPES)),
    Attribute::field("uid", Field::FileInode, Form::Text),
    Attribute::plain("size", Field::FileSize),
    Attribute::field("security_descriptor", Field::FileMode, Form::Octal),
    Attribute::object("owner", &[Attribute::field("uid", Field::FileOwner, Form::Text)]),
];

/// What is known of the file that came of it, of a rename or a link.
pub const FILE_RESULT: Attribute = Attribute::object(
    "file_result",
    &[
        Attribute { name: "name", from: From::FieldOr(Field::FileTargetPath, Form::Base, UNKNOWN) },
        Attribute::plain("path", Field::FileTargetPath),
        Attribute { name: "type_id", from: From::FieldOr(Field::FileType, Form::Code(&FILE_TYPES), "0") },
    ],
);

/// An event's file, where its class wants one.
pub const REQUIRED_FILE: Attribute = Attribute { name: "file", from: From::Required(FILE) };

/// What a schema's required text is where nothing is known.
pub const UNKNOWN: &str = r#""unknown""#;

/// The side of this host, which a connection comes from.
pub const FROM_HERE: Attribute = Attribute::object(
    "src_endpoint",
    &[HOST, Attribute::plain("ip", Field::SourceIp), Attribute::plain("port", Field::SourcePort)],
);

/// The side of this host, which a connection goes to, or which a socket is bound to.
pub const TO_HERE: Attribute = Attribute::object(
    "dst_endpoint",
    &[HOST, Attribute::plain("ip", Field::DestinationIp), Attribute::plain("port", Field::DestinationPort)],
);

/// The other side, which a connection comes from. An endpoint has a name: its address.
pub const FROM_THERE: Attribute = Attribute::object("src_endpoint", SOURCE);

/// The side that a connection comes from, where nobody says which is this host's.
pub const FROM_SOMEWHERE: Attribute = Attribute { name: "src_endpoint", from: From::Required(SOURCE) };

const SOURCE: &[Attribute] = &[
    Attribute { name: "name", from: From::FieldOr(Field::SourceIp, Form::Plain, UNKNOWN) },
    Attribute::plain("ip", Field::SourceIp),
    Attribute::plain("port", Field::SourcePort),
];

/// The other side, which a connection goes to.
pub const TO_THERE: Attribute = Attribute::object(
    "dst_endpoint",
    &[
        Attribute { name: "name", from: From::FieldOr(Field::DestinationIp, Form::Plain, UNKNOWN) },
        Attribute::plain("ip", Field::DestinationIp),
        Attribute::plain("port", Field::DestinationPort),
    ],
);

const HOST: Attribute = Attribute { name: "", from: From::Host };

/// `connection_info` of a connection that this host opened.
pub const OUTBOUND: Attribute = Attribute {
    name: "connection_info",
    from: From::Required(&[
        Attribute { name: "direction_id", from: From::Implied(Field::NetworkDirection, "2") },
        Attribute { name: "direction", from: From::Implied(Field::NetworkDirection, r#""Outbound""#) },
        PROTOCOL,
        PROTOCOL_NUMBER,
        IP_VERSION,
        COOKIE,
    ]),
};

/// `connection_info` of a connection that this host was asked for.
pub const INBOUND: Attribute = Attribute {
    name: "connection_info",
    from: From::Required(&[
        Attribute { name: "direction_id", from: From::Implied(Field::NetworkDirection, "1") },
        Attribute { name: "direction", from: From::Implied(Field::NetworkDirection, r#""Inbound""#) },
        PROTOCOL,
        PROTOCOL_NUMBER,
        IP_VERSION,
        COOKIE,
    ]),
};

/// `connection_info` where the event says the direction, or nobody does.
pub const EITHER_WAY: Attribute = Attribute {
    name: "connection_info",
    from: From::Required(&[
        Attribute {
            name: "direction_id",
            from: From::FieldOr(Field::NetworkDirection, Form::Code(&DIRECTIONS), "0"),
        },
        Attribute::field("direction", Field::NetworkDirection, Form::Caption(&DIRECTIONS)),
        PROTOCOL,
        PROTOCOL_NUMBER,
        IP_VERSION,
        COOKIE,
    ]),
};

const PROTOCOL: Attribute = Attribute::plain("protocol_name", Field::NetworkTransport);
const PROTOCOL_NUMBER: Attribute =
    Attribute::field("protocol_num", Field::NetworkTransport, Form::Code(&PROTOCOLS));
const IP_VERSION: Attribute = Attribute {
    name: "protocol_ver_id",
    from: From::Either(Field::DestinationIp, Field::SourceIp, Form::IpVersion),
};
const COOKIE: Attribute = Attribute::field("uid", Field::NetworkSocketCookie, Form::Text);

/// `traffic` of a connection that ended. In is what came from the destination.
pub const TRAFFIC: Attribute = Attribute::object(
    "traffic",
    &[
        Attribute::plain("bytes", Field::NetworkBytes),
        Attribute::plain("bytes_out", Field::SourceBytes),
        Attribute::plain("bytes_in", Field::DestinationBytes),
        Attribute::plain("packets", Field::NetworkPackets),
        Attribute::plain("packets_out", Field::SourcePackets),
        Attribute::plain("packets_in", Field::DestinationPackets),
    ],
);

/// `process`: the one that something is done to.
pub const TARGET: Attribute = Attribute {
    name: "process",
    from: From::Required(&[
        Attribute { name: "uid", from: From::FieldOr(Field::TargetProcessEntityId, Form::Plain, UNKNOWN) },
        Attribute::plain("pid", Field::TargetProcessPid),
        Attribute::field("name", Field::TargetProcessExecutable, Form::Base),
        Attribute::plain("path", Field::TargetProcessExecutable),
        Attribute::object(
            "file",
            &[
                Attribute::field("name", Field::TargetProcessExecutable, Form::Base),
                Attribute::plain("path", Field::TargetProcessExecutable),
                Attribute::always("type_id", "1"),
                Attribute::always("type", r#""Regular File""#),
            ],
        ),
    ]),
};
