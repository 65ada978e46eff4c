//! What running processes have used: CPU time and memory, as /proc tells.

use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike as _};
use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;

/// A tick of /proc's clock (USER_HZ, the same on every architecture).
const TICK: Duration = Duration::from_millis(10);

/// User and system time of a process so far, to 10 ms; zero for one that is gone.
pub fn cpu(pid: u32) -> Duration {
    ticks(pid, &[UTIME, STIME])
}

/// User and system time of a process and its threads so far, to the ns; zero for one that is gone.
pub fn cpu_exactly(pid: u32) -> Duration {
    let Ok(pid) = i32::try_from(pid) else { return Duration::ZERO };
    let now = clock_getcpuclockid(Pid::from_raw(pid)).and_then(ClockId::now);
    now.map(Duration::from).unwrap_or_default()
}

/// User and system time of this thread so far.
///
/// # Panics
/// When the kernel has no such clock, which it has since 2.6.12.
pub fn own_thread() -> Duration {
    ClockId::CLOCK_THREAD_CPUTIME_ID.now().expect("threads have clocks").into()
}

/// User and system time of all children of this process that have ended and were waited for, and of theirs.
///
/// # Panics
/// When the kernel does not say, which it always does.
pub fn cpu_of_ended_children() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("a process may ask about its children");
    let time = |time: TimeVal| Duration::from_micros(u64::try_from(time.num_microseconds()).unwrap_or(0));
    time(usage.user_time()) + time(usage.system_time())
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
        assert!(cpu_exactly(std::process::id()) >= own_thread() && own_thread() > Duration::ZERO);
        assert_eq!(cpu_exactly(u32::MAX), Duration::ZERO);
        assert!(rss_anon_kib(std::process::id()) > 0);
        assert_eq!((cpu(u32::MAX), rss_anon_kib(u32::MAX)), (Duration::ZERO, 0));
    }
}
