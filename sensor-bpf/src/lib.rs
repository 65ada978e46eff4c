//! Everything that runs in the kernel: C programs compiled to objects that the sensor loads, and
//! the Rust mirror of the one header that says what they emit.
//!
//! - [`OBJECT`], [`OBJECT_BEFORE_5_17`] and [`OBJECT_BEFORE_5_12`]: the programs, relocated to the running kernel's types
//!   when they are loaded (CO-RE), so a host needs neither compiler nor headers.
//! - [`event`]: `bpf/event.h`, generated.
//!
//! Must never import any other crate of Vedette.

/// The programs for kernels from 5.17 on.
pub static OBJECT: &[u8] = &CURRENT.bytes;

/// The same programs for kernels that cannot be asked to loop (`bpf_loop`): their loops are checked round by round.
pub static OBJECT_BEFORE_5_17: &[u8] = &BEFORE_5_17.bytes;

/// The same programs for 5.10 and 5.11, which refuse atomic instructions that return a value.
pub static OBJECT_BEFORE_5_12: &[u8] = &BEFORE_5_12.bytes;

/// What crosses from the kernel: the records' layout, as `bpf/event.h` defines it.
#[expect(missing_docs, non_camel_case_types, reason = "generated from bpf/event.h, which holds the comments")]
pub mod event {
    include!(concat!(env!("OUT_DIR"), "/event.rs"));
}

/// An ELF reader casts parts of the object to structs of 8-byte alignment.
#[repr(C)]
struct Aligned<T: ?Sized> {
    _align: [u64; 0],
    bytes: T,
}

static CURRENT: &Aligned<[u8]> =
    &Aligned { _align: [], bytes: *include_bytes!(concat!(env!("OUT_DIR"), "/sensor.o")) };
static BEFORE_5_17: &Aligned<[u8]> =
    &Aligned { _align: [], bytes: *include_bytes!(concat!(env!("OUT_DIR"), "/sensor_before_5_17.o")) };
static BEFORE_5_12: &Aligned<[u8]> =
    &Aligned { _align: [], bytes: *include_bytes!(concat!(env!("OUT_DIR"), "/sensor_before_5_12.o")) };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_aligned_elf_files() {
        for object in [OBJECT, OBJECT_BEFORE_5_17, OBJECT_BEFORE_5_12] {
            assert!(object.starts_with(b"\x7fELF"));
            assert_eq!(object.as_ptr().addr() % 8, 0);
        }
    }
}
