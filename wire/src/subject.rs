//! The process an event is about, as every batch carries it.
//!
//! A batch names processes by their number in its subject table. An entry is one image of one
//! process with the credentials it had: exec and a change of user make a new entry. Its parent
//! and, through that, all its local ancestors are entries of the same table, so a batch can be
//! searched, exported and replayed alone.

use crate::event::Row;
use crate::id::ProcessKey;

/// An entry's place in its batch's subject table, from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SubjectNumber(pub u32);

/// One entry of a subject table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Which process.
    pub key: ProcessKey,
    /// Which of its images: `task_struct::self_exec_id`. A child starts with its parent's number.
    pub image: u32,
    /// The process that forked it, with the image it had then; `None` for the first process of a
    /// boot, and where the parent was never seen.
    pub parent: Option<SubjectNumber>,
    /// Whether this image of this process is named for the first time in this stream: the
    /// collector then keeps a row for it.
    pub is_new: bool,
    /// Its fields whose place is [`crate::field::Place::Subject`]. A distant ancestor needs no more than
    /// its executable.
    pub row: Row,
}
