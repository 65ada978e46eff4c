//! The built-in dictionaries that make small batches small: one for strings, one for all else.
//!
//! The two are named in the payload by one number and never change once a version of the sensor was released with
//! them; better ones get the next number, and old ones stay. The files are made by
//! `cargo run --release -p wire --features sample --example train_dictionary` from made-up activity of a fleet of many
//! kinds of hosts, so what they hold is generic: usual programs, paths, arguments, framing. It is not what
//! benchmarks measure (`wire::sample`).

use std::sync::LazyLock;

use zstd::zstd_safe::{CDict, DDict};

use super::block::LEVEL;
use super::error::BatchError;

/// The dictionaries that this version writes with; 0 stands for none.
pub(super) const NEWEST: u32 = 1;

static COLUMNS_V1: &[u8] = include_bytes!("dictionary/v1-columns.zdict");
static STRINGS_V1: &[u8] = include_bytes!("dictionary/v1-strings.zdict");
static WRITE: LazyLock<[CDict<'static>; 2]> =
    LazyLock::new(|| [COLUMNS_V1, STRINGS_V1].map(|bytes| CDict::create(bytes, LEVEL)));
static READ_V1: LazyLock<[DDict<'static>; 2]> = LazyLock::new(|| [COLUMNS_V1, STRINGS_V1].map(DDict::create));

/// What a dictionary is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Columns,
    Strings,
}

/// The dictionary to compress with.
pub(super) fn newest(part: Part) -> &'static CDict<'static> {
    let [columns, strings] = &*WRITE;
    match part {
        Part::Columns => columns,
        Part::Strings => strings,
    }
}

/// Dictionaries to decompress with.
#[derive(Clone, Copy)]
pub(super) struct Dictionaries(&'static [DDict<'static>; 2]);

impl Dictionaries {
    /// Those with this number; `None` for 0.
    pub(super) fn numbered(number: u64) -> Result<Option<Self>, BatchError> {
        match number {
            0 => Ok(None),
            1 => Ok(Some(Self(&READ_V1))),
            _ => {
                let found = u32::try_from(number).unwrap_or(u32::MAX);
                Err(BatchError::Dictionary { found, newest: NEWEST })
            }
        }
    }

    pub(super) fn of(&self, part: Part) -> &'static DDict<'static> {
        let [columns, strings] = self.0;
        match part {
            Part::Columns => columns,
            Part::Strings => strings,
        }
    }
}

impl std::fmt::Debug for Dictionaries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dictionaries")
    }
}
