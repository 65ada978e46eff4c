//! A conjunction as the kernel decides it: one look-up for each dimension, and the patterns that are left.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use super::access::Accesses;
use super::kinds::{self, Kinds};
use super::numbers::Numbers;
use super::pattern::{Check, Text};
use super::texts::Texts;
use crate::field::Field;

/// What of an event has to be so, all of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row {
    // What differs most often comes first: rows are compared in this order.
    /// What has to be looked at besides, at most [`super::MAX_CHECKS`].
    pub checks: BTreeSet<Check>,
    /// By [`Text`]: what a look-up can tell. With a check that is not negated these are more than match.
    pub(super) texts: [Texts; 3],
    /// `process.user.id`.
    pub users: Numbers,
    /// `file.access`.
    pub access: Accesses,
    /// `syscall.number`.
    pub calls: Numbers,
    /// What happened. Of system calls only such as are asked for.
    pub kinds: Kinds,
    /// Whether it says that it asks for system calls.
    pub(super) names_calls: bool,
}

/// One of the sets that a row is made of, taken out of it.
#[derive(Clone, Debug)]
enum Set {
    Kinds(Box<Kinds>),
    Users(Numbers),
    Calls(Numbers),
    Access(Accesses),
    Text(Text, Texts),
}

/// Which of them.
#[derive(Clone, Copy, Debug)]
enum Part {
    Kinds,
    Users,
    Calls,
    Access,
    Text(Text),
}

impl Row {
    /// Every event.
    pub(super) fn everything() -> Self {
        Self {
            kinds: Kinds::known(),
            names_calls: false,
            users: Numbers::ANYTHING,
            calls: Numbers::ANYTHING,
            access: Accesses::ANYTHING,
            texts: [Texts::ANYTHING; 3],
            checks: BTreeSet::new(),
        }
    }

    /// What a look-up can tell of a text.
    pub fn text(&self, text: Text) -> &Texts {
        let [executable, path, target] = &self.texts;
        match text {
            Text::Executable => executable,
            Text::Path => path,
            Text::Target => target,
        }
    }

    pub(super) fn text_mut(&mut self, text: Text) -> &mut Texts {
        let [executable, path, target] = &mut self.texts;
        match text {
            Text::Executable => executable,
            Text::Path => path,
            Text::Target => target,
        }
    }

    /// What matches both; `None` if nothing can.
    pub(super) fn and(&self, other: &Self) -> Option<Self> {
        let mut row = Self {
            kinds: self.kinds.and(&other.kinds),
            names_calls: self.names_calls || other.names_calls,
            users: self.users.and(&other.users),
            calls: self.calls.and(&other.calls),
            access: self.access.and(other.access),
            texts: Text::ALL.map(|text| self.text(text).and(other.text(text))),
            checks: self.checks.clone(),
        };
        row.checks.extend(other.checks.iter().cloned());
        (!row.is_dead()).then_some(row)
    }

    /// The kinds of event that have all that is asked for.
    pub(super) fn possible(&self) -> Kinds {
        let asked: Vec<Field> = self.asked().collect();
        self.kinds.iter().filter(|kind| asked.iter().all(|field| kinds::may_have(*kind, *field))).collect()
    }

    /// The fields that an event must have to match.
    pub(super) fn asked(&self) -> impl Iterator<Item = Field> {
        let texts = [
            (Field::ProcessExecutable, Text::Executable),
            (Field::FilePath, Text::Path),
            (Field::FileTargetPath, Text::Target),
        ];
        let texts = texts.into_iter().map(|(field, text)| (field, self.text(text).accepts_absent()));
        let numbers = [
            (Field::ProcessUserId, self.users.accepts_absent()),
            (Field::SyscallNumber, self.calls.accepts_absent()),
            (Field::FileAccess, self.access.accepts(0)),
        ];
        texts.chain(numbers).filter(|(_, accepts_absent)| !accepts_absent).map(|(field, _)| field)
    }

    /// How many entries its sets take.
    pub(super) fn n_entries(&self) -> usize {
        let n_numbers = self.users.values().len() + self.calls.values().len();
        n_numbers + self.texts.iter().map(|texts| texts.entries().len()).sum::<usize>() + 1
    }

    /// Whether nothing can match.
    pub(super) fn is_dead(&self) -> bool {
        let twisted =
            |check: &Check| self.checks.contains(&Check { negated: !check.negated, ..check.clone() });
        self.kinds.is_empty()
            || self.users.is_empty()
            || self.calls.is_empty()
            || self.access.is_empty()
            || self.texts.iter().any(Texts::is_empty)
            || self.checks.iter().any(twisted)
    }

    /// Takes one set out, and leaves in its place what is the same for all rows.
    fn take(&mut self, part: Part) -> Set {
        match part {
            Part::Kinds => Set::Kinds(Box::new(mem::take(&mut self.kinds))),
            Part::Users => Set::Users(mem::replace(&mut self.users, Numbers::ANYTHING)),
            Part::Calls => Set::Calls(mem::replace(&mut self.calls, Numbers::ANYTHING)),
            Part::Access => Set::Access(mem::replace(&mut self.access, Accesses::ANYTHING)),
            Part::Text(text) => Set::Text(text, mem::replace(self.text_mut(text), Texts::ANYTHING)),
        }
    }

    fn put(&mut self, set: Set) {
        match set {
            Set::Kinds(kinds) => self.kinds = *kinds,
            Set::Users(users) => self.users = users,
            Set::Calls(calls) => self.calls = calls,
            Set::Access(access) => self.access = access,
            Set::Text(text, texts) => *self.text_mut(text) = texts,
        }
    }
}

impl Set {
    /// What is in either; both are of the same part.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Set::Kinds(kinds), Set::Kinds(more)) => Set::Kinds(Box::new(kinds.or(&more))),
            (Set::Users(users), Set::Users(more)) => Set::Users(users.or(&more)),
            (Set::Calls(calls), Set::Calls(more)) => Set::Calls(calls.or(&more)),
            (Set::Access(access), Set::Access(more)) => Set::Access(access.or(more)),
            (Set::Text(text, texts), Set::Text(_, more)) => Set::Text(text, texts.or(&more)),
            (set, _) => set,
        }
    }
}

/// Fewer rows that match the same: those that differ in one set only become one.
pub(super) fn merge(mut rows: Vec<Row>) -> Vec<Row> {
    const PARTS: [Part; 7] = [
        Part::Text(Text::Path),
        Part::Text(Text::Target),
        Part::Text(Text::Executable),
        Part::Users,
        Part::Calls,
        Part::Access,
        Part::Kinds,
    ];
    loop {
        let before = rows.len();
        for part in PARTS {
            let mut alike: BTreeMap<Row, Vec<Set>> = BTreeMap::new();
            for mut row in rows {
                let taken = row.take(part);
                alike.entry(row).or_default().push(taken);
            }
            rows = Vec::with_capacity(alike.len());
            for (mut row, taken) in alike {
                in_pairs(taken, Set::or).into_iter().for_each(|set| row.put(set));
                rows.push(row);
            }
        }
        if rows.len() == before {
            return rows;
        }
    }
}

/// Joins neighbours until one is left: what is joined grows, so that joining one after another would take quadratic time.
pub(super) fn in_pairs<T>(mut items: Vec<T>, mut join: impl FnMut(T, T) -> T) -> Option<T> {
    while items.len() > 1 {
        let mut rest = items.into_iter();
        let mut joined = Vec::new();
        while let Some(first) = rest.next() {
            joined.push(match rest.next() {
                Some(second) => join(first, second),
                None => first,
            });
        }
        items = joined;
    }
    items.pop()
}
