//! Everything that runs in the kernel: C programs compiled to objects that the sensor loads, and
//! the Rust mirror of the one header that says what they emit.
//!
//! - [`CURRENT`], [`BEFORE_5_17`] and [`BEFORE_5_12`]: the programs, relocated to the running kernel's types
//!   when they are loaded (CO-RE), so a host needs neither compiler nor headers; and what their maps hold.
//! - [`DOORS`]: what stays attached while those programs are replaced by another version's.
//! - [`event`]: `bpf/event.h`, generated.
//!
//! Must never import any other crate of Vedette.

/// Programs, and digests of what their maps hold: two versions may share a map that has the same digest in both.
#[derive(Clone, Copy, Debug)]
pub struct Object {
    /// An ELF file, aligned as its readers want it.
    pub bytes: &'static [u8],
    /// Each map by its name.
    pub maps: &'static [(&'static str, [u8; 8])],
}

/// The programs for kernels from 5.17 on.
pub static CURRENT: Object = Object { bytes: &CURRENT_BYTES.bytes, maps: layouts::CURRENT_MAPS };

/// The same programs for kernels that cannot be asked to loop (`bpf_loop`): their loops are checked round by round.
pub static BEFORE_5_17: Object = Object { bytes: &BEFORE_5_17_BYTES.bytes, maps: layouts::BEFORE_5_17_MAPS };

/// The same programs for 5.10 and 5.11, which refuse atomic instructions that return a value.
pub static BEFORE_5_12: Object = Object { bytes: &BEFORE_5_12_BYTES.bytes, maps: layouts::BEFORE_5_12_MAPS };

/// For each of those programs but iterators one of the same name, and the map `to_NAME` that says what is behind it.
pub static DOORS: &[u8] = &DOOR_BYTES.bytes;

/// A digest of the layout of the records in the rings.
pub static RECORDS: [u8; 8] = layouts::RECORDS;

/// What crosses from the kernel: the records' layout, as `bpf/event.h` defines it.
#[expect(missing_docs, non_camel_case_types, reason = "generated from bpf/event.h, which holds the comments")]
pub mod event {
    include!(concat!(env!("OUT_DIR"), "/event.rs"));
}

mod layouts {
    include!(concat!(env!("OUT_DIR"), "/layouts.rs"));
}

/// An ELF reader casts parts of the object to structs of 8-byte alignment.
#[repr(C)]
struct Aligned<T: ?Sized> {
    _align: [u64; 0],
    bytes: T,
}

static CURRENT_BYTES: &Aligned<[u8]> =
    &Aligned { _align: [], bytes: *include_bytes!(concat!(env!("OUT_DIR"), "/sensor.o")) };
static BEFORE_5_17_BYTES: &Aligned<[u8]> =
    &Aligned { _align: [], bytes: *include_bytes!(concat!(env!("OUT_DIR"), "/sensor_before_5_17.o")) };
static BEFORE_5_12_BYTES: &Aligned<[u8]> =
    &Aligned { _align: [], bytes: *include_bytes!(concat!(env!("OUT_DIR"), "/sensor_before_5_12.o")) };
static DOOR_BYTES: &Aligned<[u8]> =
    &Aligned { _align: [], bytes: *include_bytes!(concat!(env!("OUT_DIR"), "/doors.o")) };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_aligned_elf_files() {
        for object in [CURRENT.bytes, BEFORE_5_17.bytes, BEFORE_5_12.bytes, DOORS] {
            assert!(object.starts_with(b"\x7fELF"));
            assert_eq!(object.as_ptr().addr() % 8, 0);
        }
    }

    #[test]
    fn each_map_is_known_by_what_it_holds() {
        let digest = |object: Object, name| object.maps.iter().find(|(map, _)| *map == name).map(|(_, d)| *d);
        for name in ["ring_process", "counters", "sensor", "changes", "scratches"] {
            assert!(digest(CURRENT, name).is_some(), "{name}");
            assert_eq!(digest(CURRENT, name), digest(BEFORE_5_12, name), "{name} holds the same everywhere");
        }
        // Both map 64 bits to 32, and so do others; what they are called is not what they hold.
        assert_eq!(digest(CURRENT, "ring_bulk"), digest(CURRENT, "ring_file"));
        assert_ne!(digest(CURRENT, "filter_uid"), digest(CURRENT, "filter_cgroup"));
        assert_ne!(
            digest(CURRENT, "filter_executable"),
            digest(CURRENT, "exits_told"),
            "they differ in flags"
        );
    }
}
