//! What running processes have used: CPU time and memory, as /proc tells.

use std::time::Duration;

/// A tick of /proc's clock (USER_HZ, the same on every architecture).
const TICK: Duration = Duration::from_millis(10);

/// User and system time of a process so far, to 10 ms; zero for one that is gone.
pub fn cpu(pid: u32) -> Duration {
    ticks(pid, &[UTIME, STIME])
}

/// User and system time of a process and of its children, those that have ended (and were waited for) too.
pub fn cpu_with_children(pid: u32) -> Duration {
    let living = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let living = living.split_whitespace().filter_map(|child| child.parse().ok()).map(cpu).sum::<Duration>();
    living + ticks(pid, &[UTIME, STIME, CUTIME, CSTIME])
}

/// The anonymous memory that a process has in RAM, in KiB; 0 for one that is gone.
pub fn rss_anon_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

// Places of the fields of /proc/PID/stat after the name.
const UTIME: usize = 11;
const STIME: usize = 12;
const CUTIME: usize = 13;
const CSTIME: usize = 14;

fn ticks(pid: u32, fields: &[usize]) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name may hold blanks and brackets.
    let after = stat.rsplit(')').next().unwrap_or_default();
    let all: Vec<u32> = after.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
    TICK * fields.iter().filter_map(|at| all.get(*at)).sum::<u32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let start = cpu(std::process::id());
        while cpu(std::process::id()) < start + 2 * TICK {
            std::hint::black_box((0..1000).sum::<u64>());
        }
        assert!(cpu_with_children(std::process::id()) >= cpu(std::process::id()));
        assert!(rss_anon_kib(std::process::id()) > 0);
        assert_eq!((cpu(u32::MAX), rss_anon_kib(u32::MAX)), (Duration::ZERO, 0));
    }
}
