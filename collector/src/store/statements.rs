//! Every statement of the store, with its kind, so that what a distributed store would cost is known.

/// How a statement finds the rows it is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Names its buckets (`bucket = $n` or `bucket = any($n)`): goes to the servers that hold them.
    Routed,
    /// Rows that carry their bucket: `copy … from stdin`, or an insert.
    Insert,
    /// Asks every server, and returns keys, never payloads.
    FanOut,
    /// Makes or drops partitions, or touches only tables that every server has.
    Maintenance,
}

/// One statement.
#[derive(Clone, Copy, Debug)]
pub struct Statement {
    /// Its name, for the list.
    pub name: &'static str,
    /// How it finds its rows.
    pub kind: Kind,
    /// The statement; where parts are put in later (partition names, term clauses) they are named in braces.
    pub sql: &'static str,
}

/// Names a statement that names its buckets.
pub const fn routed(name: &'static str, sql: &'static str) -> Statement {
    Statement { name, kind: Kind::Routed, sql }
}

/// Names a statement that inserts rows which carry their bucket.
pub const fn insert(name: &'static str, sql: &'static str) -> Statement {
    Statement { name, kind: Kind::Insert, sql }
}

/// Names a statement that asks every server for keys.
pub const fn fan_out(name: &'static str, sql: &'static str) -> Statement {
    Statement { name, kind: Kind::FanOut, sql }
}

/// Names a statement about partitions or small tables.
pub const fn maintenance(name: &'static str, sql: &'static str) -> Statement {
    Statement { name, kind: Kind::Maintenance, sql }
}

/// The statements of every noun's file.
pub const ALL: &[&[Statement]] = &[
    super::accounts::STATEMENTS,
    super::announce::STATEMENTS,
    super::audit::STATEMENTS,
    super::collectors::STATEMENTS,
    super::leases::STATEMENTS,
    super::authorities::STATEMENTS,
    super::enrolment::STATEMENTS,
    super::hosts::STATEMENTS,
    super::hosts::whereabouts::STATEMENTS,
    super::tokens::STATEMENTS,
    super::candidates::STATEMENTS,
    super::slices::STATEMENTS,
    super::connection::STATEMENTS,
    super::executables::STATEMENTS,
    super::exports::STATEMENTS,
    super::exports::exporters::STATEMENTS,
    super::exports::find::STATEMENTS,
    super::exports::late::STATEMENTS,
    super::exports::refused::STATEMENTS,
    super::findings::STATEMENTS,
    super::fresh::STATEMENTS,
    super::gaps::STATEMENTS,
    super::partitions::STATEMENTS,
    super::process::STATEMENTS,
    super::progress::STATEMENTS,
    super::quarantine::STATEMENTS,
    super::reach::STATEMENTS,
    super::reader::STATEMENTS,
    super::restores::STATEMENTS,
    super::segment::STATEMENTS,
    super::size::STATEMENTS,
    super::streams::REPLAY_STATEMENTS,
    super::streams::STATEMENTS,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routed_statements_name_their_buckets() {
        for statement in ALL.iter().copied().flatten() {
            let named = statement.sql.contains("bucket = $") || statement.sql.contains("bucket = any($");
            if statement.kind == Kind::Routed {
                assert!(named, "{}: {}", statement.name, statement.sql);
            }
        }
    }

    #[test]
    fn inserted_rows_carry_their_bucket() {
        for statement in ALL.iter().copied().flatten().filter(|s| s.kind == Kind::Insert) {
            assert!(statement.sql.contains("bucket"), "{}: {}", statement.name, statement.sql);
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = ALL.iter().copied().flatten().map(|s| s.name).collect();
        names.sort_unstable();
        let n = names.len();
        names.dedup();
        assert_eq!(names.len(), n);
    }
}
