//! A test over one column: each distinct string, list or address is judged once.

use super::bits::Bits;
use super::strings::Judged;
use super::{Predicate, Test};
use crate::batch::{Column, Strings};
use crate::field::{Field, Place};

/// What of a column's strings is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum View {
    /// All of each.
    Whole,
    /// The part after the last `/`.
    Base,
    /// A list's items joined by blanks.
    Joined,
}

/// The column that a field of a subject or an event is worked out from, and what is looked at there.
/// `None` for fields that are not worked out from strings, or not from one column.
pub(super) fn source(field: Field) -> Option<(Field, View)> {
    match (field, field.place()) {
        (Field::ProcessName, _) => Some((Field::ProcessExecutable, View::Base)),
        (Field::ProcessCommandLine, _) => Some((Field::ProcessArgs, View::Joined)),
        (_, Place::Subject | Place::Event) => Some((field, View::Whole)),
        (_, Place::Parent(inner) | Place::Ancestor(inner)) => source(inner),
        _ => None,
    }
}

/// What tests over one batch's columns share.
#[derive(Clone, Copy)]
pub(super) struct Texts<'a> {
    pub(super) predicate: &'a Predicate,
    /// One for each of the predicate's text tests.
    pub(super) judged: &'a [Judged],
    pub(super) strings: &'a Strings,
}

impl Texts<'_> {
    /// Whether no value made of these strings can pass.
    pub(super) fn never(&self, test: &Test, view: View) -> bool {
        match test {
            Test::Text(n) => match (self.predicate.texts.get(*n), self.judged.get(*n)) {
                (Some(text), Some(judged)) => match view {
                    View::Whole => judged.whole(text, self.strings).is_empty(),
                    View::Base => judged.base(text, self.strings).is_empty(),
                    View::Joined => judged.joined_never(text, self.strings),
                },
                _ => true,
            },
            Test::Address(test) => !self.strings.iter().any(|(_, bytes)| test.matches_bytes(bytes)),
            _ => false,
        }
    }

    /// Hands `hit` each row whose value passes.
    pub(super) fn passing(&self, column: &Column, test: &Test, view: View, mut hit: impl FnMut(usize)) {
        // A loop for each type of column: this is the innermost of a search.
        macro_rules! rows {
            ($passes:expr) => {
                for (row, passes) in $passes.enumerate() {
                    if passes {
                        hit(row);
                    }
                }
            };
        }
        match column {
            Column::Keyword(numbers) => {
                let Some(bits) = self.strings_passing(test, view) else {
                    return rows!(numbers.iter().map(|number| *number != 0));
                };
                rows!(numbers.iter().map(|number| bits.get(*number as usize)));
            }
            Column::List(lists) => {
                let all = (0..lists.n_distinct()).map(|n| lists.distinct(n + 1).unwrap_or_default());
                let bits = self.lists_passing(test, view, all);
                rows!(lists.rows().iter().map(|list| bits.get(*list as usize)));
            }
            Column::Ip(numbers) => {
                let Test::Address(test) = test else {
                    return rows!(numbers.iter().map(|number| *number != 0));
                };
                let mut judged = vec![None; self.strings.len() as usize + 1];
                rows!(numbers.iter().map(|number| {
                    judged.get_mut(*number as usize).is_some_and(|known| {
                        *known.get_or_insert_with(|| {
                            self.strings.get(*number).is_some_and(|bytes| test.matches_bytes(bytes))
                        })
                    })
                }));
            }
            Column::Uint(numbers) => match test.single() {
                Some(wanted) => rows!(numbers.iter().map(|n| n == Some(wanted))),
                None => rows!(numbers.iter().map(|n| n.is_some_and(|n| test.matches_number(i128::from(n))))),
            },
            Column::Int(numbers) => {
                rows!(numbers.iter().map(|n| n.is_some_and(|n| test.matches_number(i128::from(n)))));
            }
            Column::Time(times) => {
                let passes = |ns: i64| test.matches_number(i128::from(ns));
                rows!(times.iter().map(|time| time.is_some_and(|time| passes(time.unix_ns()))));
            }
            Column::Bool(truths) => {
                rows!(truths.iter().map(|found| match test {
                    Test::Bool(want) => found == Some(*want),
                    _ => found.is_some() && *test == Test::Exists,
                }));
            }
        }
    }

    /// The strings that pass a text test; `None` if the test is no text test.
    fn strings_passing(&self, test: &Test, view: View) -> Option<&Bits> {
        let Test::Text(n) = test else { return None };
        let (text, judged) = (self.predicate.texts.get(*n)?, self.judged.get(*n)?);
        Some(match view {
            View::Base => judged.base(text, self.strings),
            View::Whole | View::Joined => judged.whole(text, self.strings),
        })
    }

    /// The numbers, from 1, of the lists that pass.
    fn lists_passing<'a>(
        &self,
        test: &Test,
        view: View,
        lists: impl ExactSizeIterator<Item = &'a [u32]>,
    ) -> Bits {
        if let (View::Joined, Test::Text(n)) = (view, test)
            && let (Some(text), Some(judged)) = (self.predicate.texts.get(*n), self.judged.get(*n))
        {
            return judged.joined(text, self.strings, lists);
        }
        let mut passing = Bits::none(lists.len() + 1);
        let bits = self.strings_passing(test, view);
        for (at, list) in lists.enumerate() {
            let passes = match bits {
                Some(bits) => list.iter().any(|number| bits.get(*number as usize)),
                None => !list.is_empty(),
            };
            if passes {
                passing.set(at + 1);
            }
        }
        passing
    }
}
