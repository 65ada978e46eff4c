//! One condition on one field, as rows.

use super::access::{ACCESS, Accesses};
use super::kinds::Kinds;
use super::numbers::Numbers;
use super::pattern::{Check, Text};
use super::row::Row;
use super::texts::Texts;
use super::word::{self, Shape};
use super::{FIELDS, MAX_RANGE};
use crate::event::syscall::N_NUMBERS;
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
            row.kinds = Kinds::known().iter().filter(|kind| passes(*kind) != negated).collect();
            // What is a name of other actions too, such as `open`, does not say that system calls are meant.
            let is_calls = row.kinds.without(&Kinds::calls()).is_empty();
            row.names_calls = is_calls && !negated && word.literal().is_some();
            return Ok((!row.kinds.is_empty()).then_some(row));
        }
        Field::FileAccess => {
            let like = predicate::like(word)?;
            let bits = (0..).zip(ACCESS).filter(|(_, name)| like(name.as_bytes()));
            let access = Accesses::having(bits.fold(0, |bits, (n, _)| bits | 1 << n));
            row.access = if negated { access.not() } else { access };
            return Ok((!row.access.is_empty()).then_some(row));
        }
        field @ (Field::ProcessUserId | Field::SyscallNumber) => {
            let numbers = match word.is_any() {
                true => Numbers::PRESENT,
                false => {
                    let number = predicate::number(field, word)?;
                    if field == Field::SyscallNumber && !(0..end_of(field)).contains(&number) {
                        return Err(QueryError::new(
                            word.span,
                            format!("no system call has the number {number}"),
                        )
                        .expected(format!("a number below {N_NUMBERS}")));
                    }
                    Numbers::these(u64::try_from(number).ok().filter(|n| i128::from(*n) < end_of(field)))
                }
            };
            row = of_numbers(row, field, numbers, negated);
            return Ok((!row.is_dead()).then_some(row));
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

/// The number after the last that a field can have.
fn end_of(field: Field) -> i128 {
    match field {
        Field::SyscallNumber => i128::from(N_NUMBERS),
        // The kernel's user ids have 32 bits.
        _ => 1 << 32,
    }
}

fn of_numbers(mut row: Row, field: Field, numbers: Numbers, negated: bool) -> Row {
    let numbers = if negated { numbers.not() } else { numbers };
    match field {
        Field::SyscallNumber => {
            row.calls = numbers;
            row.names_calls = !negated;
        }
        _ => row.users = numbers,
    }
    row
}

/// The rows of `process.user.id >= word`, or of what is not so.
pub(super) fn compare(
    named: Named,
    comparison: Comparison,
    word: &Word,
    span: Span,
    negated: bool,
) -> Result<Option<Row>, QueryError> {
    if !matches!(named.field, Field::ProcessUserId | Field::SyscallNumber) {
        return Err(undecided(named));
    }
    let number = predicate::number(named.field, word)?;
    let (first, end) = match comparison {
        Comparison::Less => (0, number),
        Comparison::AtMost => (0, number + 1),
        Comparison::Greater => (number + 1, i128::MAX),
        Comparison::AtLeast => (number, i128::MAX),
    };
    let last = end_of(named.field);
    let (first, end) = (first.clamp(0, last), end.clamp(0, last));
    let range = |first: i128, end: i128| (first..end.max(first)).filter_map(|n| u64::try_from(n).ok());
    let n_within = (end - first).max(0);
    let numbers = if n_within <= MAX_RANGE || named.field == Field::SyscallNumber {
        Numbers::these(range(first, end))
    } else if last - n_within <= MAX_RANGE {
        Numbers::all_but(range(0, first).chain(range(end, last)))
    } else {
        return Err(QueryError::new(span, format!("a range of {n_within} user ids"))
            .expected(format!("one of at most {MAX_RANGE}, or of all but so many")));
    };
    let row = of_numbers(Row::everything(), named.field, numbers, negated);
    Ok((!row.is_dead()).then_some(row))
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
