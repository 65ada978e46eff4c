//! `vedette-sensor check --collection`: what each line of a collection takes in the kernel, or why it is refused.

use std::fmt::{self, Display, Formatter};

use sensor_bpf::event::{
    MATCH_CHECKED, MATCH_NUMBERS, MATCH_PATTERNS, MATCH_ROWS, MATCH_SLOTS, MATCH_TEXTS, MATCH_VECTORS,
    MATCH_WORDS,
};
use serde::Serialize;

use crate::call;
use crate::plan::{Collection, Line, Outcome, Refusal, Tables};

/// What was found. Its `Display` is the text for a terminal; as JSON it is one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CollectionReport {
    /// What batches call it (`sensor.collection`).
    pub digest: String,
    /// Each line that has a query on it.
    pub lines: Vec<LineReport>,
    /// The system calls that they ask for on this machine, each with its number: `keyctl (250)`, `keyctl (32-bit 288)`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub system_calls: Vec<String>,
    /// What all of them together take.
    pub takes: Vec<Taken>,
}

/// What became of a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineReport {
    /// Its number, from 1.
    pub line: usize,
    /// Its query.
    pub query: String,
    /// The rows that it takes, one sentence each.
    pub rows: Vec<String>,
    /// What is odd about it, or why it takes none.
    pub notes: Vec<String>,
    /// Why it is refused, on several lines where it is known where in the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// How full the kernel's tables are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// Of what.
    pub what: &'static str,
    /// How many there are.
    pub found: usize,
    /// How many there can be.
    pub most: usize,
}

impl CollectionReport {
    /// Tells of a collection.
    pub fn new(collection: &Collection) -> Self {
        Self {
            digest: hex::encode(collection.digest()),
            lines: collection.lines().iter().map(LineReport::new).collect(),
            system_calls: system_calls(collection.tables()),
            takes: taken(collection.tables()),
        }
    }

    /// Whether a sensor would take it.
    pub fn is_usable(&self) -> bool {
        self.lines.iter().all(|line| line.refused.is_none())
    }
}

impl LineReport {
    fn new(line: &Line) -> Self {
        let notes = match &line.outcome {
            Outcome::Decided { rows, hints } => {
                let always =
                    rows.is_empty().then(|| "no effect: what it asks for is shipped anyway".to_owned());
                always.into_iter().chain(hints.iter().map(ToString::to_string)).collect()
            }
            Outcome::Repeats(first) => vec![format!("no effect: line {first} says the same")],
            Outcome::Refused(_) => Vec::new(),
        };
        let refused = line.refusal().map(|refusal| match refusal {
            Refusal::Query(error) => error.render(&line.text),
            other => other.to_string(),
        });
        Self {
            line: line.number,
            query: line.text.clone(),
            rows: line.rows().iter().map(ToString::to_string).collect(),
            notes,
            refused,
        }
    }
}

impl Display for CollectionReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            write!(f, "{line}")?;
        }
        if !self.system_calls.is_empty() {
            writeln!(f, "\nsystem calls: {}", self.system_calls.join(", "))?;
        }
        writeln!(f, "\ncollection {}", self.digest)?;
        for Taken { what, found, most } in &self.takes {
            writeln!(f, "  {found:>6} of {most:>6}  {what}")?;
        }
        if self.is_usable() {
            return Ok(());
        }
        let n_refused = self.lines.iter().filter(|line| line.refused.is_some()).count();
        writeln!(
            f,
            "refused: {n_refused} of {} lines; a sensor does not start with this collection",
            self.lines.len()
        )
    }
}

/// How much of a query is shown.
const SHOWN: usize = 100;

impl Display for LineReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { line, query, rows, notes, refused } = self;
        if let Some(refused) = refused {
            writeln!(f, "line {line}: REFUSED")?;
            return refused.lines().try_for_each(|text| writeln!(f, "    {text}"));
        }
        let mut shown: String =
            query.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
        if query.chars().nth(SHOWN).is_some() {
            shown.push('…');
        }
        let n = match rows.len() {
            1 => "1 row".to_owned(),
            n => format!("{n} rows"),
        };
        writeln!(f, "line {line}: {n}: {shown}")?;
        rows.iter().try_for_each(|row| writeln!(f, "    {row}"))?;
        notes.iter().try_for_each(|note| writeln!(f, "    note: {note}"))
    }
}

fn system_calls(tables: &Tables) -> Vec<String> {
    let asked = call::all().filter(|call| tables.calls.contains_key(&call.place));
    let told = asked.filter_map(|call| {
        let width = if call.place == call.number { "" } else { "32-bit " };
        Some(format!("{} ({width}{})", call.kind.info()?.action, call.number))
    });
    told.collect()
}

fn taken(tables: &Tables) -> Vec<Taken> {
    let half = |room: u32| room / MATCH_SLOTS;
    let taken = |what, found, most: u32| Taken { what, found, most: most as usize };
    vec![
        taken("rows", tables.n_rows, MATCH_ROWS),
        taken(
            "rows with patterns that are looked at one after another",
            tables.checks.len(),
            MATCH_CHECKED * MATCH_WORDS,
        ),
        taken("numbers that are looked up", tables.numbers.len(), half(MATCH_NUMBERS)),
        taken("texts that are looked up", tables.texts.len(), half(MATCH_TEXTS)),
        taken("distinct patterns", tables.patterns.len(), half(MATCH_PATTERNS)),
        taken("distinct sets of rows", tables.vectors.len(), half(MATCH_VECTORS)),
    ]
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn each_line_is_told_with_its_rows_or_its_fault() {
        let text = "event.action:exec\nevent.action:(open or opne) and file.path:(/etc/* or *.pem)\n\
                    event.action:exec\nfile.path:/x\x1b[31m and user.name:root\n";
        let report = CollectionReport::new(&Collection::read(text.as_bytes()).unwrap());
        assert!(!report.is_usable());
        expect![[r#"
            line 1: 0 rows: event.action:exec
                note: no effect: what it asks for is shipped anyway
            line 2: 2 rows: event.action:(open or opne) and file.path:(/etc/* or *.pem)
                file.open; file.path: 1 looked up
                file.open; file.path like *.pem
                note: no event of this version has `opne` as its event.action; did you mean `open`?
            line 3: 0 rows: event.action:exec
                note: no effect: line 1 says the same
            line 4: REFUSED
                column 23: unknown field `user.name`, expected the name of a field (to look for a text with `:` in it, quote all of it); did you mean `process.user.name`?
                  file.path:/x [31m and user.name:root
                                        ^^^^^^^^^

            collection b94a03f3b3c46573b00642e09aa5fc45
                   2 of   1024  rows
                   1 of    256  rows with patterns that are looked at one after another
                   1 of   4096  numbers that are looked up
                   1 of  16384  texts that are looked up
                   1 of    512  distinct patterns
                   3 of   2048  distinct sets of rows
            refused: 1 of 4 lines; a sensor does not start with this collection
        "#]].assert_eq(&report.to_string());
        let json = serde_json::json!(report);
        assert_eq!(json.pointer("/lines/1/rows/0").unwrap(), "file.open; file.path: 1 looked up");
        assert!(json.pointer("/lines/1/refused").is_none());
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn system_calls_are_told_with_their_numbers() {
        let text =
            "syscall.number:250\nevent.action:(keyctl or syscall_500)\nevent.action:keyctl and file.path:/a";
        let report = CollectionReport::new(&Collection::read(text.as_bytes()).unwrap());
        let told = ["keyctl (250)", "syscall_500 (500)", "fadvise64 (32-bit 250)", "keyctl (32-bit 288)"];
        assert_eq!(report.system_calls, [told.as_slice(), &["syscall_500 (32-bit 500)"]].concat());
        assert!(report.to_string().contains("\nsystem calls: keyctl (250), syscall_500 (500), "), "{report}");
    }

    #[test]
    fn the_built_in_collection_is_usable() {
        let report = CollectionReport::new(Collection::built_in());
        assert!(report.is_usable());
        assert!(report.system_calls.is_empty(), "none is asked for: {:?}", report.system_calls);
    }
}
