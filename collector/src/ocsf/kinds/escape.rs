//! `escape`: signs that a process gets out of its container.

use wire::event::Kind;

use super::super::class::DETECTION;
use super::super::mapping::{Case, Mapping};
use super::super::object::FILE;
use crate::shape::{Attribute, From};

/// `severity_id` of a sign.
const HIGH: u32 = 4;

/// What a sign says: what it is called, and what was done.
macro_rules! sign {
    ($kind:expr, $name:literal, $desc:literal) => {
        Mapping::new(
            $kind,
            &DETECTION,
            &[Case::new(
                1,
                &[
                    Attribute {
                        name: "finding_info",
                        from: From::Required(&[
                            Attribute { name: "uid", from: From::Id },
                            Attribute::always("title", r#""Sign of an escape from a container""#),
                            Attribute::always("desc", concat!('"', $desc, '"')),
                            Attribute::always(
                                "analytic",
                                concat!(r#"{"name":"escape."#, $name, r#"","type_id":1,"type":"Rule"}"#),
                            ),
                            Attribute::always("types", r#"["Container Escape"]"#),
                            Attribute::always("attacks", ESCAPE_TO_HOST),
                        ]),
                    },
                    Attribute { name: "evidences", from: From::List(&[&[Attribute::object("file", FILE)]]) },
                ],
            )
            .alert(HIGH)],
        )
    };
}

const ESCAPE_TO_HOST: &str = concat!(
    r#"[{"tactic":{"uid":"TA0004","name":"Privilege Escalation"},"#,
    r#""technique":{"uid":"T1611","name":"Escape to Host"}}]"#
);

pub(super) const KINDS: &[Mapping] = &[
    sign!(
        Kind::ESCAPE_HOST_NAMESPACE,
        "host_namespace",
        "A process of a container came to live in the host's mount or pid namespace."
    ),
    sign!(
        Kind::ESCAPE_HOST_MOUNT,
        "host_mount",
        "A process of a container mounted a file system that lies on a device."
    ),
    sign!(
        Kind::ESCAPE_RELEASE_AGENT,
        "release_agent",
        "A process of a container opened a control group's release_agent to write to it."
    ),
    sign!(
        Kind::ESCAPE_CORE_PATTERN,
        "core_pattern",
        "A process of a container set kernel.core_pattern, a program that the kernel runs on the host."
    ),
    sign!(
        Kind::ESCAPE_MODPROBE,
        "modprobe",
        "A process of a container set a program that the kernel runs on the host."
    ),
    sign!(
        Kind::ESCAPE_RUNTIME_SOCKET,
        "runtime_socket",
        "A process of a container connected to a container runtime's socket."
    ),
    sign!(
        Kind::ESCAPE_OUTSIDE_ROOT,
        "outside_root",
        "A process of a container opened a file that lies in the host's mount namespace."
    ),
];
