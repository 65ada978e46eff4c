//! System calls by name and by number, in this architecture's tables: of 64-bit callers, and of 32-bit ones.
//!
//! Pure. In the kernel's maps a call's place is its number; those of 32-bit callers come after all of 64-bit ones.

use sensor_bpf::event::SYSCALL_NUMBERS;
use wire::event::Kind;
use wire::event::syscall::N_NUMBERS;

const _: () =
    assert!(N_NUMBERS as u32 == SYSCALL_NUMBERS, "what can be asked for is what the programs look at");

/// A system call of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its place in the kernel's maps.
    pub place: u32,
    /// Its number.
    pub number: u32,
    /// The event that tells of it: of a call without a name `syscall_NNN`.
    pub kind: Kind,
}

/// Every call that this machine's processes can make, by place.
pub fn all() -> impl Iterator<Item = Call> {
    let named = |number: u32, name: Option<&str>| {
        let nameless = || Kind::nameless_call(number as u16);
        name.and_then(Kind::call).unwrap_or_else(nameless)
    };
    let of_64 = (0..SYSCALL_NUMBERS).map(move |number| (number, number, named(number, name(number))));
    let of_32 = (0..SYSCALL_NUMBERS)
        .filter(|_| HAS_32)
        .map(move |number| (SYSCALL_NUMBERS + number, number, named(number, name_32(number))));
    of_64.chain(of_32).map(|(place, number, kind)| Call { place, number, kind })
}

/// The number of a call for 64-bit callers.
pub(crate) fn number(name: &str) -> Option<u32> {
    Some(name.parse::<syscalls::Sysno>().ok()?.id().cast_unsigned())
}

fn name(number: u32) -> Option<&'static str> {
    Some(plain(syscalls::Sysno::new(number as usize)?.name()))
}

/// A name as the kernel has it: one that Rust keeps for itself is spelt otherwise there.
fn plain(name: &'static str) -> &'static str {
    name.strip_prefix("r#").unwrap_or(name)
}

/// Whether 32-bit callers are looked at.
const HAS_32: bool = cfg!(target_arch = "x86_64");

/// The number of a call for 32-bit callers.
#[cfg(target_arch = "x86_64")]
pub(crate) fn number_32(name: &str) -> Option<u32> {
    Some(name.parse::<syscalls::x86::Sysno>().ok()?.id().cast_unsigned())
}

#[cfg(target_arch = "x86_64")]
fn name_32(number: u32) -> Option<&'static str> {
    Some(plain(syscalls::x86::Sysno::new(number as usize)?.name()))
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn number_32(_name: &str) -> Option<u32> {
    None
}

#[cfg(not(target_arch = "x86_64"))]
fn name_32(_number: u32) -> Option<&'static str> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn calls_have_the_numbers_of_their_table() {
        assert_eq!((number("openat"), number_32("openat")), (Some(257), Some(295)));
        assert_eq!((number("accept"), number_32("accept")), (Some(43), None));
        assert_eq!((number("socketcall"), number_32("socketcall")), (None, Some(102)));
        assert_eq!((number("mmap"), number_32("mmap"), number_32("mmap2")), (Some(9), Some(90), Some(192)));
        assert_eq!(
            (number("openat2"), number("setxattrat"), number_32("fchmodat2")),
            (Some(437), Some(463), Some(452))
        );
    }

    #[test]
    fn every_call_of_the_tables_is_a_kind_by_its_name() {
        let mut n_named = 0;
        for call in all() {
            let is_32 = call.place >= SYSCALL_NUMBERS;
            let name = if is_32 { name_32(call.number) } else { name(call.number) };
            let expected = name.map_or_else(|| format!("syscall_{}", call.number), str::to_owned);
            assert_eq!(call.kind.to_string(), format!("syscall.{expected}"));
            assert_eq!(call.place, call.number + if is_32 { SYSCALL_NUMBERS } else { 0 });
            n_named += usize::from(name.is_some());
        }
        assert!(n_named > 300, "{n_named}");
    }
}
