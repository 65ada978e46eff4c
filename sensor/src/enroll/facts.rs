//! What this host says of itself.

use uuid::Uuid;
use wire::enrolment::HostFacts;

/// Name, kernel, architecture, version and boot of this host, now.
pub(crate) fn here() -> HostFacts {
    let uname = nix::sys::utsname::uname().ok();
    let part = |pick: fn(&nix::sys::utsname::UtsName) -> &std::ffi::OsStr| {
        uname.as_ref().map(|uname| pick(uname).to_string_lossy().into_owned()).unwrap_or_default()
    };
    let name = part(|uname| uname.nodename());
    HostFacts {
        name: if name.is_empty() { "localhost".to_owned() } else { name },
        kernel: part(|uname| uname.release()),
        arch: part(|uname| uname.machine()),
        sensor_version: env!("CARGO_PKG_VERSION").to_owned(),
        boot: std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .ok()
            .and_then(|text| Uuid::parse_str(text.trim()).ok()),
    }
}
