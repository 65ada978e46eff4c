//! Whether /proc still tells of the process that is meant.

use std::fs;

use wire::id::ProcessKey;

/// What the kernel's clock ticks to user space a second (USER_HZ, the same on every architecture Rust knows).
const TICK_NS: u64 = 10_000_000;

/// Whether the process lives, so that what was just read from its folder in /proc was its own.
pub(crate) fn lives(process: ProcessKey) -> bool {
    let stat = fs::read(format!("/proc/{}/stat", process.pid)).unwrap_or_default();
    started_ticks(&stat) == Some(process.start.ns() / TICK_NS)
}

/// Field 22 of /proc/PID/stat; the second, the name, may hold blanks and brackets.
fn started_ticks(stat: &[u8]) -> Option<u64> {
    let after_name = stat.iter().rposition(|byte| *byte == b')')? + 2;
    let text = std::str::from_utf8(stat.get(after_name..)?).ok()?;
    text.split(' ').nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_start_time() {
        let stat = b"7 (a) b) R 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 9 9\n";
        assert_eq!(started_ticks(stat), Some(4242));
        assert_eq!(started_ticks(b"nothing"), None);
    }
}
