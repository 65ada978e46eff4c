//! Hard bounds on everything that comes from elsewhere, checked before anything is allocated.

/// The largest body of a frame, in bytes.
pub const MAX_FRAME_BYTES: u32 = 8 << 20;
/// The most events in one batch.
pub const MAX_EVENTS_PER_BATCH: u32 = 65_536;
/// The most bytes a batch may decompress to, all parts together.
pub const MAX_BATCH_BYTES: u32 = 8 << 20;
/// The largest zstd window a decoder accepts, as a power of two.
pub const MAX_ZSTD_WINDOW_LOG: u32 = 22;
/// The most distinct strings in one batch.
pub const MAX_STRINGS_PER_BATCH: u32 = 1 << 18;
/// The longest string in a batch, in bytes: arguments of 16 KiB and paths of 4 KiB fit.
pub const MAX_STRING_BYTES: u32 = 64 << 10;
/// The most entries in one batch's subject table.
pub const MAX_SUBJECTS_PER_BATCH: u32 = 1 << 16;
/// The most event kinds (groups) in one batch.
pub const MAX_GROUPS_PER_BATCH: u32 = 256;
/// The most columns in one group.
pub const MAX_COLUMNS_PER_GROUP: u32 = 256;
/// The most values in one batch: over all its tables, rows times columns.
pub const MAX_CELLS_PER_BATCH: u32 = 1 << 22;
/// The most items in one event's list value.
pub const MAX_LIST_ITEMS: u32 = 16_384;
/// The most bytes that the items of one list value may have together, one more for each. Items are
/// strings that many lists may share, so this is not bounded by what a batch decompresses to.
pub const MAX_LIST_BYTES: u32 = 256 << 10;
/// The same for all distinct lists of one batch together.
pub const MAX_LIST_BYTES_PER_BATCH: u32 = 64 << 20;
/// The deepest local ancestry that is walked; what lies beyond is cut.
pub const MAX_ANCESTORS: usize = 64;
/// The longest query text, in bytes.
pub const MAX_QUERY_BYTES: usize = 64 << 10;
/// The deepest nesting of a query's parentheses.
pub const MAX_QUERY_DEPTH: usize = 64;
/// The most values and bare words in one query.
pub const MAX_QUERY_TERMS: usize = 4096;
/// The most values in one query that have wildcards, fold case or are looked for anywhere in a text: each costs a pass over the strings.
pub const MAX_QUERY_PATTERNS: usize = 256;
/// The longest stretch between two `*` that may contain `?`, in bytes: it is matched at every place.
pub const MAX_QUERY_ANY_BYTE_STRETCH: usize = 256;
