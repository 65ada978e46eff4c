//! Linux capabilities by name (`include/uapi/linux/capability.h`, Linux 6.12).

use crate::query::nearest_of;

/// The bit of a capability's name, in any case of letters; `CAP_41` and so on name bits that have no name here.
pub(crate) fn bit(name: &str) -> Option<u32> {
    let name = name.to_ascii_uppercase();
    if let Some(bit) = NAMES.iter().position(|known| *known == name) {
        return u32::try_from(bit).ok();
    }
    let number = name.strip_prefix("CAP_")?;
    number.parse().ok().filter(|bit| *bit < 64 && number.bytes().all(|b| b.is_ascii_digit()))
}

/// The names of a mask's bits, the lowest first: `CAP_CHOWN`, …
pub fn names(mask: u64) -> impl Iterator<Item = String> {
    (0..64usize).filter(move |bit| mask >> bit & 1 == 1).map(|bit| match NAMES.get(bit) {
        Some(name) => (*name).to_owned(),
        None => format!("CAP_{bit}"),
    })
}

/// The name that a misspelt one probably means.
pub(crate) fn nearest(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_uppercase();
    let with_prefix = if name.starts_with("CAP_") { name } else { format!("CAP_{name}") };
    nearest_of(&with_prefix, NAMES.iter().map(|known| (*known, *known)))
}

const NAMES: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_bits_lead_back() {
        for bit_number in 0..64 {
            let name = names(1 << bit_number).next();
            assert_eq!(name.as_deref().and_then(bit), Some(bit_number));
        }
        assert_eq!(bit("cap_sys_admin"), Some(21));
        assert_eq!((bit("CAP_64"), bit("CAP_+1"), bit("SYS_ADMIN")), (None, None, None));
        assert_eq!(nearest("SYS_ADMN"), Some("CAP_SYS_ADMIN"));
        assert_eq!(names(0).count(), 0);
    }
}
