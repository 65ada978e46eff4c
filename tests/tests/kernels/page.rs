//! `docs/kernels.md`, and its like for another architecture. Pure.

use guest::report::Verdict;

use crate::matrix::{Column, Matrix};
use crate::table::{Row, Table};
use crate::told::Told;

const TOP: &str = "\
# What is seen on which kernel

Written by `UPDATE_DOCS=1 make kernels`, and held in step by `make kernels`: the sensor, statically linked as it is
shipped, runs in a virtual machine on each of Debian's kernels, with BPF LSM off and on (`LSM`), and on the kernel of the machine that ran the suite last
(`own`). Before it, one thing is done after another, and exactly these events must come.

`seen`: exactly the events of it came. `partly`: those came that can; what is missing is told below the table. `no`: no event tells of it.
`n/a`: that kernel does not do such a thing.
";

const TOP_ARM64: &str = "\
# What is seen on arm64

Written by `UPDATE_DOCS=1 make kernels ARCH=arm64`, and held in step by `make kernels ARCH=arm64`: the sensor is compiled for arm64, and runs in a virtual
machine of it on Debian's kernels, with BPF LSM off and on (`LSM`). All else is as in `docs/kernels.md`, whose words are these. `make test` does not run it:
there the programs in the kernel are compiled for arm64, and no more.

The kernels differ in what they let programs follow: before 6.4 arm64 attaches none to functions of the kernel, nor to the security hooks, so what
is left there is as on an x86-64 kernel that refuses them.
";

/// Where the page is, in the repository.
pub(crate) fn path() -> &'static str {
    if is_own() { "docs/kernels.md" } else { "docs/kernels-arm64.md" }
}

fn is_own() -> bool {
    crate::machine::architecture().name == "amd64"
}

/// The page as it should be, after the one that is there. Columns that were not run stay as they are; so does that of
/// another machine's own kernel, unless the page is to be written.
pub(crate) fn write(written: &str, matrix: &Matrix, update: bool) -> String {
    let older = Table::parse_all(written);
    let columns = columns(&older, matrix, update);
    let run: Vec<(&Column, &Told)> = matrix
        .columns
        .iter()
        .filter(|column| columns.contains(&column.title))
        .filter_map(|column| Some((column, column.told()?)))
        .collect();
    if run.is_empty() {
        return written.to_owned();
    }
    let mut tables = vec![sights(&run)];
    tables.extend(scenarios(&run));
    let mut page = if is_own() { TOP } else { TOP_ARM64 }.to_owned();
    for table in tables {
        let before = older.iter().find(|older| older.title == table.title);
        page.push_str(&table.completed(&columns, before).render());
    }
    page
}

/// The titles of all columns.
fn columns(older: &[Table], matrix: &Matrix, update: bool) -> Vec<String> {
    let is_own = |title: &&String| title.starts_with("own ");
    let own_before = older.first().and_then(|table| table.columns.iter().find(is_own));
    let own_now = matrix.columns.iter().find(|column| is_own(&&column.title));
    let own_was_run = own_now.is_some_and(|column| column.told().is_some());
    let own_now = own_now.map(|column| &column.title);
    let own = if own_before.is_none() || (update && own_was_run) { own_now } else { own_before };
    let titles = matrix.columns.iter().map(|column| &column.title).filter(|title| !is_own(title));
    titles.chain(own).cloned().collect()
}

fn sights(run: &[(&Column, &Told)]) -> Table {
    let (mut rows, mut notes): (Vec<Row>, Vec<(String, String)>) = (Vec::new(), Vec::new());
    for sight in run.iter().flat_map(|(_, told)| &told.sights) {
        let note = (sight.name.clone(), sight.blind.replace('|', "/"));
        if !sight.blind.is_empty() && !notes.contains(&note) {
            notes.push(note);
        }
        if rows.iter().any(|row| row.name == sight.name) {
            continue;
        }
        let cell = |told: &Told| {
            let own = told.sights.iter().find(|own| own.name == sight.name);
            own.filter(|own| !own.way.is_empty()).map_or("no", |own| kind(&own.way)).to_owned()
        };
        let cells = run.iter().map(|(_, told)| cell(told)).collect();
        rows.push(Row { name: sight.name.clone(), about: sight.shows.clone(), cells });
    }
    notes.sort_by_key(|(name, _)| rows.iter().position(|row| row.name == *name));
    Table { title: "Sights".into(), of: "what can be seen".into(), columns: titles(run), rows, notes }
}

/// How the first place of a way is followed, in a word; system calls that return are named.
fn kind(way: &str) -> &str {
    match way.split_once('/') {
        Some(("tp_btf", "sys_exit")) => "sys_exit",
        Some((kind, _)) => kind,
        None => way,
    }
}

/// One table for each category.
fn scenarios(run: &[(&Column, &Told)]) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    for played in run.iter().take(1).flat_map(|(_, told)| &told.played) {
        let verdicts = run.iter().filter_map(|(_, told)| {
            let same =
                told.played.iter().find(|own| own.category == played.category && own.name == played.name);
            same.map(|own| &own.verdict)
        });
        let (cells, reasons): (Vec<_>, Vec<_>) = verdicts.map(cell).unzip();
        let row = Row { name: played.name.clone(), about: played.about.clone(), cells };
        let mut notes: Vec<(String, String)> = Vec::new();
        for why in reasons.into_iter().flatten() {
            let note = (played.name.clone(), why.to_owned());
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
        match tables.iter_mut().find(|table| table.title == played.category) {
            Some(table) => {
                table.rows.push(row);
                table.notes.extend(notes);
            }
            None => tables.push(Table {
                title: played.category.clone(),
                of: "scenario".into(),
                columns: titles(run),
                rows: vec![row],
                notes,
            }),
        }
    }
    tables
}

fn titles(run: &[(&Column, &Told)]) -> Vec<String> {
    run.iter().map(|(column, _)| column.title.clone()).collect()
}

/// What a cell says, and what is said below.
fn cell(verdict: &Verdict) -> (String, Option<&str>) {
    let (cell, why) = match verdict {
        Verdict::Seen => ("seen", None),
        Verdict::Partly { why } => ("partly", Some(why)),
        Verdict::Unseen { why } => ("no", Some(why)),
        Verdict::Absent { why } => ("n/a", Some(why)),
        Verdict::Failed { .. } => ("FAILED", None),
    };
    (cell.to_owned(), why.map(String::as_str))
}
