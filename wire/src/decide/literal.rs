//! One condition on one field, as rows.

use super::access::{ACCESS, Accesses};
use super::kinds;
use super::numbers::Numbers;
use super::pattern::{Check, Text};
use super::row::Row;
use super::texts::Texts;
use super::word::{self, Shape};
use super::{FIELDS, MAX_USER_RANGE};
use crate::field::Field;
use crate::flat::of_kind;
use crate::predicate;
use crate::query::{Comparison, Named, QueryError, Span, Word};
use crate::value::Value;

/// The rows of `field:word`, or of what is not so. None: nothing matches.
pub(super) fn has(named: Named, word: &Word, negated: bool) -> Result<Option<Row>, QueryError> {
    let mut row = Row::everything();
    match named.field {
        field @ (Field::EventCategory | Field::EventAction) => {
            let like = predicate::like(word)?;
            let passes = |kind| match of_kind(field, kind) {
                Some(Value::Keyword(text)) => like(&text),
                _ => false,
            };
            row.kinds = kinds::known().filter(|kind| passes(*kind) != negated).collect();
            return Ok((!row.kinds.is_empty()).then_some(row));
        }
        Field::FileAccess => {
            let like = predicate::like(word)?;
            let bits = (0..).zip(ACCESS).filter(|(_, name)| like(name.as_bytes()));
            let access = Accesses::having(bits.fold(0, |bits, (n, _)| bits | 1 << n));
            row.access = if negated { access.not() } else { access };
            return Ok((!row.access.is_empty()).then_some(row));
        }
        Field::ProcessUserId => {
            let users = match word.is_any() {
                true => Numbers::PRESENT,
                false => {
                    let number = predicate::number(named.field, word)?;
                    Numbers::these(u64::try_from(number).ok().filter(|n| *n <= u64::from(u32::MAX)))
                }
            };
            row.users = if negated { users.not() } else { users };
            return Ok(Some(row));
        }
        _ => {}
    }
    let (text, shape) = match named.field {
        Field::ProcessExecutable => (Text::Executable, word::path(word)?),
        Field::ProcessName => (Text::Executable, word::name(word)?),
        Field::FilePath => (Text::Path, word::path(word)?),
        Field::FileTargetPath => (Text::Target, word::path(word)?),
        _ => return Err(undecided(named)),
    };
    Ok(of_text(row, text, shape, negated))
}

/// The rows of `process.user.id >= word`, or of what is not so.
pub(super) fn compare(
    named: Named,
    comparison: Comparison,
    word: &Word,
    span: Span,
    negated: bool,
) -> Result<Option<Row>, QueryError> {
    if named.field != Field::ProcessUserId {
        return Err(undecided(named));
    }
    let number = predicate::number(named.field, word)?;
    let (first, end) = match comparison {
        Comparison::Less => (0, number),
        Comparison::AtMost => (0, number + 1),
        Comparison::Greater => (number + 1, i128::MAX),
        Comparison::AtLeast => (number, i128::MAX),
    };
    // The kernel's user ids have 32 bits.
    const END: i128 = 1 << 32;
    let (first, end) = (first.clamp(0, END), end.clamp(0, END));
    let range = |first: i128, end: i128| (first..end.max(first)).filter_map(|n| u64::try_from(n).ok());
    let n_within = (end - first).max(0);
    let users = if n_within <= MAX_USER_RANGE {
        Numbers::these(range(first, end))
    } else if END - n_within <= MAX_USER_RANGE {
        Numbers::all_but(range(0, first).chain(range(end, END)))
    } else {
        return Err(QueryError::new(span, format!("a range of {n_within} user ids"))
            .expected(format!("one of at most {MAX_USER_RANGE}, or of all but so many")));
    };
    let mut row = Row::everything();
    row.users = if negated { users.not() } else { users };
    Ok(Some(row))
}

fn of_text(mut row: Row, text: Text, shape: Shape, negated: bool) -> Option<Row> {
    let turned = |texts: Texts| if negated { texts.not() } else { texts };
    match shape {
        Shape::Never if negated => {}
        Shape::Never => return None,
        Shape::Any => *row.text_mut(text) = turned(Texts::PRESENT),
        Shape::Known(texts) => *row.text_mut(text) = turned(texts),
        Shape::Like { prefix, pattern } => {
            if !negated {
                *row.text_mut(text) = Texts::beginning(&prefix);
            }
            row.checks.insert(Check { text, pattern, negated });
        }
    }
    Some(row)
}

/// The error for a field that no look-up of the kernel is for.
fn undecided(named: Named) -> QueryError {
    let names: Vec<&str> = FIELDS.iter().map(|field| field.name()).collect();
    QueryError::new(named.span, format!("{} is not known where the kernel decides", named.field))
        .expected(format!("one of {}", names.join(", ")))
}
