//! A row as people see it when a collection is checked.

use std::fmt::{self, Display, Formatter, Write as _};

use super::access::{ACCESS, Accesses};
use super::kinds::Kinds;
use super::pattern::{Pattern, Text};
use super::row::Row;
use super::{Numbers, Texts};

/// How many kinds are named.
const SHOWN: usize = 4;

impl Display for Row {
    /// The kinds of event, then what else is asked for, in the order in which the kernel asks.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&named(&self.kinds))?;
        if self.access != Accesses::ANYTHING {
            write!(f, "; file.access {}", accesses(self.access))?;
        }
        if self.users != Numbers::ANYTHING {
            write!(f, "; process.user.id: {}", of(self.users.values().len(), self.users.accepts_others()))?;
        }
        if self.calls != Numbers::ANYTHING {
            write!(f, "; syscall.number: {}", of(self.calls.values().len(), self.calls.accepts_others()))?;
        }
        for text in Text::ALL {
            let texts = self.text(text);
            if *texts != Texts::ANYTHING && *texts != Texts::PRESENT {
                write!(f, "; {text}: {}", of(texts.entries().len(), texts.accepts_others()))?;
            }
        }
        for check in &self.checks {
            let not = if check.negated { "not " } else { "" };
            write!(f, "; {} {not}like {}", check.text, check.pattern)?;
        }
        Ok(())
    }
}

impl Display for Text {
    /// The field's name.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Text::Executable => "process.executable",
            Text::Path => "file.path",
            Text::Target => "file.target_path",
        })
    }
}

impl Display for Pattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let gap = |open: bool| if open { "*" } else { "" };
        f.write_str(gap(!self.at_start))?;
        for (n, piece) in self.pieces.iter().enumerate() {
            write!(f, "{}{}", gap(n > 0), piece.escape_ascii())?;
        }
        f.write_str(gap(!self.at_end))
    }
}

/// The names of kinds, or some of them.
pub(super) fn named(kinds: &Kinds) -> String {
    let mut names: Vec<String> = Vec::new();
    let is_any_call = kinds.and(&Kinds::calls()) == Kinds::calls();
    let shown = if is_any_call { kinds.without(&Kinds::calls()) } else { *kinds };
    let calls = is_any_call.then(|| "system calls".to_owned());
    for name in shown.iter().map(|kind| kind.to_string()).chain(calls) {
        // Some kinds differ in more than their action.
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let more = names.len().saturating_sub(SHOWN);
    names.truncate(SHOWN);
    let names = names.join(", ");
    if more == 0 { names } else { format!("{names} and {more} more") }
}

fn of(n: usize, others: bool) -> String {
    match (n, others) {
        (0, true) => "any".to_owned(),
        (0, false) => "none".to_owned(),
        (n, true) => format!("all but {n}"),
        (n, false) => format!("{n} looked up"),
    }
}

fn accesses(accesses: Accesses) -> String {
    let mut shown = String::new();
    for mask in (0..Accesses::N).filter(|mask| accesses.accepts(*mask)) {
        let names = (0..).zip(ACCESS).filter(|(n, _)| mask & 1 << n != 0).map(|(_, name)| name);
        let name = if mask == 0 { "none".to_owned() } else { names.collect::<Vec<_>>().join("+") };
        // Writing to a string does not fail.
        let _ = write!(shown, "{}{name}", if shown.is_empty() { "" } else { "|" });
    }
    shown
}
