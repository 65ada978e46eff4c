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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use expect_test::expect;

    use crate::decide::decide;
    use crate::decide::properties::check;
    use crate::event::Kind;

    #[test]
    fn calls_are_asked_for_by_name_or_number() {
        check(
            "event.category:syscall and event.action:(keyctl or add_key)",
            expect!["syscall.add_key, syscall.keyctl"],
        );
        check(
            "event.action:keyctl and process.user.id:0",
            expect!["syscall.keyctl; process.user.id: 1 looked up"],
        );
        check("event.category:syscall and event.action:connect", expect!["syscall.connect"]);
        check(
            "event.action:sched_*",
            expect![
                "column 1: only system calls are left of what it asks for, expected event.category:syscall beside it, if those are meant"
            ],
        );
        check(
            "event.category:syscall and event.action:io_uring_*",
            expect!["syscall.io_uring_enter, syscall.io_uring_register, syscall.io_uring_setup"],
        );
        check("syscall.number:250", expect!["system calls; syscall.number: 1 looked up"]);
        check(
            "event.category:syscall and syscall.number >= 460 and process.executable:/usr/bin/*",
            expect!["system calls; syscall.number: 52 looked up; process.executable: 1 looked up"],
        );
        check(
            "event.category:network or event.category:syscall and event.action:keyctl",
            expect!["network.connect, network.accept, network.serve, network.close and 5 more"],
        );
    }

    #[test]
    fn what_names_no_call_brings_none() {
        let has_calls =
            |text: &str| decide(text).unwrap().rows.iter().any(|row| row.kinds.iter().any(Kind::is_call));
        for text in [
            "",
            "*",
            "process.name:x",
            "event.action:connect",
            "event.action:*",
            "not event.category:syscall",
            "not event.action:keyctl",
            "not syscall.number:250",
            "event.category:s*",
            "process.user.id:0 or event.action:open",
        ] {
            assert!(!has_calls(text), "{text}");
        }
    }

    #[test]
    fn what_asks_for_too_many_or_none_is_refused() {
        check(
            "event.category:syscall",
            expect![
                "column 1: it asks for 983 system calls, expected at most 64, named by event.action or syscall.number"
            ],
        );
        check(
            "event.category:syscall and process.name:x",
            expect![
                "column 1: it asks for 983 system calls, expected at most 64, named by event.action or syscall.number"
            ],
        );
        check(
            "event.category:(file or syscall)",
            expect![
                "column 1: it asks for 983 system calls, expected at most 64, named by event.action or syscall.number"
            ],
        );
        check(
            "event.category:syscall and not event.action:keyctl",
            expect![
                "column 1: it asks for 982 system calls, expected at most 64, named by event.action or syscall.number"
            ],
        );
        check(
            "syscall.number:*",
            expect![
                "column 1: it asks for 983 system calls, expected at most 64, named by event.action or syscall.number"
            ],
        );
        check(
            "syscall.number < 100",
            expect![
                "column 1: it asks for 100 system calls, expected at most 64, named by event.action or syscall.number"
            ],
        );
        check(
            "syscall.number:512",
            expect!["column 16: no system call has the number 512, expected a number below 512"],
        );
        check(
            "syscall.number > 511",
            expect![
                "column 1: its conditions exclude one another, or no event has such a value, so it never matches"
            ],
        );
        check(
            "event.action:keyctl and file.path:/etc/*",
            expect!["column 25: no event of syscall.keyctl has file.path, so it never matches"],
        );
        check(
            "event.action:keyctl and syscall.result:0",
            expect![
                "column 25: syscall.result is not known where the kernel decides, expected one of event.category, event.action, process.user.id, process.executable, process.name, file.path, file.target_path, file.access, syscall.number"
            ],
        );
        check(
            "event.action:open and not event.category:file",
            expect![
                "column 1: only system calls are left of what it asks for, expected event.category:syscall beside it, if those are meant"
            ],
        );
    }
}
