//! What becomes of every kind of events: one table a category, as `wire::event` has them.

use wire::event::Kind;

use super::mapping::Mapping;
use crate::record::ByKind;

mod container;
mod dns;
mod escape;
mod file;
mod kernel;
mod network;
mod process;
mod sensor;
mod syscall;

/// The tables, in the order of the reference.
pub const TABLES: [&[Mapping]; 9] = [
    process::KINDS,
    file::KINDS,
    network::KINDS,
    dns::KINDS,
    kernel::KINDS,
    syscall::KINDS,
    container::KINDS,
    escape::KINDS,
    sensor::KINDS,
];

const _: () = assert!(
    BY_KIND.covers_all(),
    "a kind of `wire::event` has no line in the table of its category: what does it become?"
);

/// What becomes of a kind. All system calls become one; what this version does not know has a mapping too.
pub fn of(kind: Kind) -> &'static Mapping {
    if kind.is_call() {
        return &syscall::CALL;
    }
    BY_KIND.get(kind).unwrap_or(&syscall::UNKNOWN)
}

static BY_KIND: ByKind<Mapping> = by_kind();

const fn by_kind() -> ByKind<Mapping> {
    let mut by_kind = ByKind::EMPTY;
    let mut tables: &'static [&'static [Mapping]] = &TABLES;
    while let [table, others @ ..] = tables {
        tables = others;
        let mut mappings: &'static [Mapping] = table;
        while let [mapping, rest @ ..] = mappings {
            mappings = rest;
            by_kind = by_kind.with(mapping.kind, mapping);
        }
    }
    by_kind
}

#[cfg(test)]
mod tests {
    use wire::event::Row;

    use super::*;

    #[test]
    fn every_kind_becomes_what_its_table_says() {
        for info in Kind::known() {
            let mapping = of(info.kind);
            assert!(info.kind.is_call() || mapping.kind == info.kind, "{}", info.kind);
            assert!(!mapping.cases.is_empty(), "{}", info.kind);
            mapping.case(&Row::default());
        }
        assert_eq!(of(Kind::new(7000)).kind, Kind::new(0));
    }

    #[test]
    fn activities_of_the_class_have_its_names_and_others_their_own() {
        for mapping in TABLES.into_iter().flatten() {
            for case in mapping.cases {
                let is_known = mapping.class.activities.iter().any(|(number, _)| *number == case.activity);
                assert_ne!(is_known, case.name.is_some(), "{} {case:?}", mapping.kind);
            }
        }
    }
}
