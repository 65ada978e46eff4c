//! OCSF's numbers and words for our texts.

use crate::shape::Codes;

/// `status_id`.
pub const OUTCOMES: Codes = Codes::new(&[("success", 1, "Success"), ("failure", 2, "Failure")]);

/// `file.type_id`.
pub const FILE_TYPES: Codes = Codes::new(&[
    ("regular", 1, "Regular File"),
    ("directory", 2, "Folder"),
    ("char", 3, "Character Device"),
    ("block", 4, "Block Device"),
    ("socket", 5, "Local Socket"),
    ("fifo", 6, "Named Pipe"),
    ("symlink", 7, "Symbolic Link"),
]);

/// `access_mask`: as in access(2).
pub const ACCESS: Codes = Codes::new(&[("read", 4, ""), ("write", 2, ""), ("exec", 1, "")]);

/// `actual_permissions` of memory: as in mprotect(2).
pub const PROTECTION: Codes = Codes::new(&[("read", 1, ""), ("write", 2, ""), ("exec", 4, "")]);

/// `connection_info.direction_id`.
pub const DIRECTIONS: Codes = Codes::new(&[("inbound", 1, "Inbound"), ("outbound", 2, "Outbound")]);

/// `connection_info.protocol_num`: IANA's numbers, -1 for what has none.
pub const PROTOCOLS: Codes = Codes::new(&[
    ("icmp", 1, ""),
    ("tcp", 6, ""),
    ("udp", 17, ""),
    ("ipv6-icmp", 58, ""),
    ("udplite", 136, ""),
])
.or(-1);

/// `query.opcode_id`.
pub const OP_CODES: Codes = Codes::new(&[
    ("QUERY", 0, "Query"),
    ("IQUERY", 1, "Inverse Query"),
    ("STATUS", 2, "Status"),
    ("NOTIFY", 4, "Notify"),
    ("UPDATE", 5, "Update"),
    ("DSO", 6, "DSO Message"),
]);

/// `rcode_id`.
pub const RESPONSE_CODES: Codes = Codes::new(&[
    ("NOERROR", 0, "NoError"),
    ("FORMERR", 1, "FormError"),
    ("SERVFAIL", 2, "ServError"),
    ("NXDOMAIN", 3, "NXDomain"),
    ("NOTIMP", 4, "NotImp"),
    ("REFUSED", 5, "Refused"),
    ("YXDOMAIN", 6, "YXDomain"),
    ("YXRRSET", 7, "YXRRSet"),
    ("NXRRSET", 8, "NXRRSet"),
    ("NOTAUTH", 9, "NotAuth"),
    ("NOTZONE", 10, "NotZone"),
    ("DSOTYPENI", 11, "DSOTYPENI"),
    ("BADVERS", 16, "BADSIG_VERS"),
    ("BADKEY", 17, "BADKEY"),
    ("BADTIME", 18, "BADTIME"),
    ("BADMODE", 19, "BADMODE"),
    ("BADNAME", 20, "BADNAME"),
    ("BADALG", 21, "BADALG"),
    ("BADTRUNC", 22, "BADTRUNC"),
    ("BADCOOKIE", 23, "BADCOOKIE"),
]);

/// `action_id` of what a rule decided.
pub const ACTIONS: Codes =
    Codes::new(&[("observed", 3, "Observed"), ("denied", 2, "Denied"), ("killed", 2, "Denied")]);

/// `disposition_id` of what a rule decided.
pub const DISPOSITIONS: Codes =
    Codes::new(&[("observed", 15, "Detected"), ("denied", 2, "Blocked"), ("killed", 99, "Killed")]);

/// `severity` by `severity_id`.
pub fn severity(number: u32) -> &'static str {
    match number {
        1 => "Informational",
        2 => "Low",
        3 => "Medium",
        4 => "High",
        5 => "Critical",
        6 => "Fatal",
        _ => "Unknown",
    }
}
