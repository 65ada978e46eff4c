//! From rows to tables: which rows accept which value.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sensor_bpf::event::{MATCH_NUMBERS, MATCH_PATTERNS, MATCH_SLOTS, MATCH_TEXTS, MATCH_VECTORS};
use wire::decide::{Accesses, Numbers, Pattern, Row, Text, Texts, Walk};
use wire::event::Kind;

use super::place::places;
use super::tables::{Dim, RowCheck, Tables};
use super::vectors::{Vector, Vectors};
use crate::call::{self, Call};

/// The most system calls that a collection asks for: each is a kind of event, and a batch has room for 256 kinds.
pub const MAX_CALLS: usize = 128;

/// More than the kernel's tables hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoRoom {
    pub(super) what: &'static str,
    pub(super) found: usize,
    pub(super) most: usize,
}

/// The tables by which an event matches when it matches one of the rows.
pub(super) fn lay_out<'a>(rows: impl Iterator<Item = &'a Row>) -> Result<Tables, NoRoom> {
    let rows: Vec<&Row> = rows.collect();
    let places = places(&rows)?;
    let mut layout = Layout {
        rows: places.into_iter().zip(rows).collect(),
        tables: Tables::default(),
        vectors: Vectors::default(),
    };
    layout.calls()?;
    layout.kinds();
    layout.users();
    layout.access();
    for (dim, text) in Dim::TEXTS {
        layout.texts(dim, text)?;
    }
    layout.checks();
    layout.finish()
}

struct Layout<'a> {
    /// Each with its bit.
    rows: Vec<(usize, &'a Row)>,
    tables: Tables,
    vectors: Vectors,
}

impl<'a> Layout<'a> {
    /// Of the system calls of this machine those that are asked for: other machines may have more of them.
    fn calls(&mut self) -> Result<(), NoRoom> {
        let values: BTreeSet<u64> =
            self.rows.iter().flat_map(|(_, row)| row.calls.values().iter().copied()).collect();
        let is_asked = self.rows.iter().any(|(_, row)| row.calls != Numbers::ANYTHING);
        self.defaults(
            Dim::Call,
            is_asked,
            |row| row.calls.accepts_others(),
            |row| row.calls.accepts_absent(),
        );
        for value in values {
            self.number(Dim::Call, value, |row| row.calls.accepts(value));
        }
        let asks =
            |row: &Row, call: &Call| row.kinds.contains(call.kind) && row.calls.accepts(call.number.into());
        let asked = call::all().filter(|call| self.rows.iter().any(|(_, row)| asks(row, call)));
        self.tables.calls = asked.map(|call| (call.place, call.kind.number().into())).collect();
        let found = self.tables.calls.values().collect::<BTreeSet<_>>().len();
        let most = MAX_CALLS;
        if found > most { Err(NoRoom { what: "system calls", found, most }) } else { Ok(()) }
    }

    fn kinds(&mut self) {
        let is_called = |kind: &Kind| self.tables.calls.values().any(|n| *n == u32::from(kind.number()));
        let is_looked_up = |kind: &Kind| !kind.is_call() || is_called(kind);
        let all: BTreeSet<Kind> = self.rows.iter().flat_map(|(_, row)| row.kinds.iter()).collect();
        let kinds: Vec<Kind> = all.into_iter().filter(is_looked_up).collect();
        self.defaults(Dim::Kind, true, |_| false, |_| false);
        for kind in kinds {
            self.number(Dim::Kind, kind.number().into(), |row| row.kinds.contains(kind));
        }
    }

    fn users(&mut self) {
        let values: BTreeSet<u64> =
            self.rows.iter().flat_map(|(_, row)| row.users.values().iter().copied()).collect();
        let is_asked = self.rows.iter().any(|(_, row)| row.users != Numbers::ANYTHING);
        self.defaults(
            Dim::User,
            is_asked,
            |row| row.users.accepts_others(),
            |row| row.users.accepts_absent(),
        );
        for value in values {
            self.number(Dim::User, value, |row| row.users.accepts(value));
        }
    }

    fn access(&mut self) {
        let is_asked = self.rows.iter().any(|(_, row)| row.access != Accesses::ANYTHING);
        let asks_nothing = |row: &Row| row.access == Accesses::ANYTHING;
        self.defaults(Dim::Access, is_asked, asks_nothing, |row| row.access.accepts(0));
        for mask in (1..Accesses::N).filter(|_| is_asked) {
            self.number(Dim::Access, mask.into(), |row| row.access.accepts(mask));
        }
    }

    fn texts(&mut self, dim: Dim, text: Text) -> Result<(), NoRoom> {
        let is_checked = |row: &Row| row.checks.iter().any(|check| check.text == text);
        let is_asked = self.rows.iter().any(|(_, row)| is_checked(row) || *row.text(text) != Texts::ANYTHING);
        self.defaults(
            dim,
            is_asked,
            |row| row.text(text).accepts_others(),
            |row| row.text(text).accepts_absent(),
        );
        let keys: BTreeSet<&Arc<[u8]>> =
            self.rows.iter().flat_map(|(_, row)| row.text(text).entries()).map(|(key, _)| key).collect();
        bounded("texts that are looked up", self.tables.texts.len() + keys.len(), MATCH_TEXTS)?;
        // Rows that tell texts apart are asked for each; the others accept all or none.
        let mut constant = Vector::default();
        let mut telling: Vec<(usize, Walk<'_>)> = Vec::new();
        for (place, row) in &self.rows {
            let texts = row.text(text);
            match texts.entries() {
                [] if texts.accepts_others() => constant.set(*place),
                [] => {}
                _ => telling.push((*place, texts.walk())),
            }
        }
        let otherwise = self.tables.otherwise.get(dim.number() as usize).copied().unwrap_or_default();
        let mut around: Vec<(&Arc<[u8]>, u32)> = Vec::new();
        for key in keys {
            let mut vector = constant;
            for (place, walk) in &mut telling {
                if walk.accepts(key) {
                    vector.set(*place);
                }
            }
            let number = self.vectors.number(vector);
            while around.last().is_some_and(|(outer, _)| !key.starts_with(outer)) {
                around.pop();
            }
            // What says the same as the entry around it says nothing.
            if around.last().map_or(otherwise, |(_, number)| *number) != number {
                around.push((key, number));
                self.tables.texts.insert((dim, Arc::clone(key)), number);
            }
        }
        Ok(())
    }

    fn checks(&mut self) {
        let checked: Vec<_> = self.rows.iter().filter(|(_, row)| !row.checks.is_empty()).copied().collect();
        self.tables.checked = self.vectors.number(Vector::of(checked.iter().map(|(place, _)| *place)));
        let mut known: BTreeMap<&Pattern, u16> = BTreeMap::new();
        for (place, row) in checked {
            let checks = row.checks.iter().map(|check| {
                let pattern = *known.entry(&check.pattern).or_insert_with(|| {
                    self.tables.patterns.push(check.pattern.clone());
                    self.tables.patterns.len() as u16 - 1
                });
                RowCheck { pattern, dim: Dim::of(check.text), negated: check.negated }
            });
            let checks = checks.collect();
            self.tables.checks.insert(place as u32, checks);
        }
    }

    fn finish(self) -> Result<Tables, NoRoom> {
        let mut tables = self.tables;
        tables.n_rows = self.rows.len();
        bounded("numbers that are looked up", tables.numbers.len(), MATCH_NUMBERS)?;
        bounded("distinct patterns", tables.patterns.len(), MATCH_PATTERNS)?;
        bounded("distinct sets of rows", self.vectors.len(), MATCH_VECTORS)?;
        tables.vectors = self.vectors.into_vec();
        Ok(tables)
    }

    /// What holds where a look-up finds nothing, and where there is nothing to look up.
    fn defaults(
        &mut self,
        dim: Dim,
        is_asked: bool,
        otherwise: impl Fn(&Row) -> bool,
        absent: impl Fn(&Row) -> bool,
    ) {
        let (otherwise, absent) = (self.vector(otherwise), self.vector(absent));
        if is_asked {
            self.tables.uses |= 1 << dim.number();
        }
        let at = dim.number() as usize;
        if let (Some(o), Some(a)) = (self.tables.otherwise.get_mut(at), self.tables.absent.get_mut(at)) {
            (*o, *a) = (otherwise, absent);
        }
    }

    /// What holds for one number.
    fn number(&mut self, dim: Dim, value: u64, accepts: impl Fn(&Row) -> bool) {
        let vector = self.vector(accepts);
        self.tables.numbers.insert((dim, value), vector);
    }

    fn vector(&mut self, accepts: impl Fn(&Row) -> bool) -> u32 {
        let places = self.rows.iter().filter(|(_, row)| accepts(row)).map(|(place, _)| *place);
        self.vectors.number(Vector::of(places))
    }
}

/// Each slot may fill half of a map.
fn bounded(what: &'static str, found: usize, room: u32) -> Result<(), NoRoom> {
    let most = (room / MATCH_SLOTS) as usize;
    if found > most { Err(NoRoom { what, found, most }) } else { Ok(()) }
}
