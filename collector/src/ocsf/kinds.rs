//! What becomes of every kind of events: one table a category, as `wire::event` has them.

use wire::event::Kind;

use super::mapping::Mapping;

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
    covers_all(),
    "a kind of `wire::event` has no line in the table of its category: what does it become?"
);

/// What becomes of a kind. All system calls become one; what this version does not know has a mapping too.
pub fn of(kind: Kind) -> &'static Mapping {
    if kind.is_call() {
        return &syscall::CALL;
    }
    BY_NUMBER.get(usize::from(kind.number())).copied().flatten().unwrap_or(&syscall::UNKNOWN)
}

/// Kinds that are no calls have numbers below this.
const N_NUMBERS: usize = 512;

static BY_NUMBER: [Option<&Mapping>; N_NUMBERS] = by_number();

const fn by_number() -> [Option<&'static Mapping>; N_NUMBERS] {
    let mut by_number = [None; N_NUMBERS];
    let mut tables: &'static [&'static [Mapping]] = &TABLES;
    while let [table, others @ ..] = tables {
        tables = others;
        let mut mappings: &'static [Mapping] = table;
        while let [mapping, rest @ ..] = mappings {
            mappings = rest;
            let (_, from) = by_number.split_at_mut(mapping.kind.number() as usize);
            if let [slot, ..] = from {
                *slot = Some(mapping);
            }
        }
    }
    by_number
}

const fn covers_all() -> bool {
    let mut categories: &[&[wire::event::KindInfo]] = &wire::event::CATEGORIES;
    while let [kinds, others @ ..] = categories {
        categories = others;
        let mut kinds: &[wire::event::KindInfo] = kinds;
        while let [info, rest @ ..] = kinds {
            kinds = rest;
            if !covers(info.kind) {
                return false;
            }
        }
    }
    true
}

const fn covers(kind: Kind) -> bool {
    let mut tables: &[&[Mapping]] = &TABLES;
    while let [table, others @ ..] = tables {
        tables = others;
        let mut mappings: &[Mapping] = table;
        while let [mapping, rest @ ..] = mappings {
            mappings = rest;
            if mapping.kind.number() == kind.number() {
                return true;
            }
        }
    }
    false
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
