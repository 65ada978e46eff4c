//! An event of a batch, with its place and its name.

use wire::event::Event;
use wire::subject::SubjectNumber;

use super::name;

/// An event that is about to be rendered.
#[derive(Clone, Copy, Debug)]
pub struct Located<'a> {
    /// The event, with its own fields.
    pub event: &'a Event,
    /// Whose it is.
    pub subject: Option<SubjectNumber>,
    /// Its number in the batch.
    pub number: u32,
    /// `event.sequence`.
    pub sequence: u64,
    /// `event.id`.
    pub id: &'a str,
    /// Its type: `vedette.process.exec`.
    pub class: &'a str,
}

impl<'a> Located<'a> {
    /// `process.exec`; of what this version does not know `kind-` and its number.
    pub fn code(&self) -> &'a str {
        name::code(self.class)
    }

    /// `exec`; of what this version does not know `kind-` and its number.
    pub fn action(&self) -> &'a str {
        let code = self.code();
        code.split_once('.').map_or(code, |(_, action)| action)
    }
}
