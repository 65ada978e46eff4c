//! The built-in dictionaries that make small batches small.
//!
//! A dictionary is named in the payload by its number and never changes once a version of the sensor
//! was released with it; a better one gets the next number, and old ones stay. The files are made by
//! `cargo run --release -p wire --example train_dictionary` from generated host activity
//! (`wire::sample`), so what they hold is generic: paths, field framing, usual arguments.

use std::sync::LazyLock;

use zstd::zstd_safe::{CDict, DDict};

/// The dictionary that this version writes with; 0 stands for none.
pub(super) const NEWEST: u32 = 1;

static V1: &[u8] = include_bytes!("dictionary/v1.zdict");
static WRITE: LazyLock<CDict<'static>> = LazyLock::new(|| CDict::create(V1, super::block::LEVEL));
static READ_V1: LazyLock<DDict<'static>> = LazyLock::new(|| DDict::create(V1));

/// The dictionary to compress with.
pub(super) fn newest() -> &'static CDict<'static> {
    &WRITE
}

/// The dictionary with this number, if this version has it.
pub(super) fn numbered(number: u32) -> Option<&'static DDict<'static>> {
    (number == 1).then(|| &*READ_V1)
}
