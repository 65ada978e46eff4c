//! From a collection (which events are shipped) to the kernel's tables.
//!
//! Pure. A collection is a text with a query on each line; what one of them matches is shipped. Which rows a query takes
//! is decided by [`wire::decide`], which the collector shares; here they are read, numbered and laid out as
//! `event.h` describes them. A line that cannot be decided in the kernel is refused, never weakened.
//!
//! - [`Collection`]: the text, line by line, with what became of each; its digest; its tables.
//! - [`Tables`]: what the kernel looks into, wherever it is put; [`Image`]: the same in one slot, byte for byte.

mod collection;
mod image;
#[cfg(test)]
mod kernel;
mod layout;
mod line;
mod place;
#[cfg(test)]
mod properties;
mod tables;
mod vectors;

pub use collection::{Collection, CollectionError, DEFAULT, MAX_BYTES, MAX_ENTRIES};
pub use image::Image;
pub use layout::MAX_CALLS;
pub use line::{Line, MAX_LINE_BYTES, Outcome, Refusal};
pub use tables::{Dim, Tables};
pub use vectors::Vector;
