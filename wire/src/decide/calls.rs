//! Which system calls a row asks for.

use super::MAX_CALLS;
use super::kinds::Kinds;
use super::row::Row;
use crate::query::{QueryError, Span};

/// Why a row's system calls are not asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is about nothing else, but does not say so.
    Unsaid,
    /// It asks for so many.
    TooMany(usize),
}

/// Leaves out the system calls of a row that does not say that it asks for them.
pub(super) fn only_named(row: &mut Row) -> Result<(), Fault> {
    let n_calls = row.kinds.and(&Kinds::calls()).len();
    if n_calls == 0 {
        row.names_calls = false;
        return Ok(());
    }
    if std::mem::take(&mut row.names_calls) {
        let by_number = (!row.calls.accepts_others()).then_some(row.calls.values().len());
        let n_asked = by_number.map_or(n_calls, |n| n.min(n_calls));
        return if n_asked > MAX_CALLS { Err(Fault::TooMany(n_asked)) } else { Ok(()) };
    }
    if n_calls == row.kinds.len() {
        return Err(Fault::Unsaid);
    }
    row.kinds = row.kinds.without(&Kinds::calls());
    Ok(())
}

impl Fault {
    pub(super) fn error(self, span: Span) -> QueryError {
        match self {
            Fault::Unsaid => QueryError::new(span, "only system calls are left of what it asks for")
                .expected("event.category:syscall beside it, if those are meant"),
            Fault::TooMany(n) => QueryError::new(span, format!("it asks for {n} system calls"))
                .expected(format!("at most {MAX_CALLS}, named by event.action or syscall.number")),
        }
    }
}
