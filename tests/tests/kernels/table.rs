//! A table in the page: one column for each kernel. Pure.

/// A heading, a table and what is to be said of some of its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) title: String,
    /// What the rows are.
    pub(crate) of: String,
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Row>,
    /// Each about a row, by its name.
    pub(crate) notes: Vec<(String, String)>,
}

/// One row; its name is unique in its table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) cells: Vec<String>,
}

/// What stands where a column has never been run.
const UNKNOWN: &str = "?";

impl Table {
    /// The tables of a page.
    pub(crate) fn parse_all(page: &str) -> Vec<Self> {
        page.split("\n## ").skip(1).filter_map(Self::parse).collect()
    }

    fn parse(section: &str) -> Option<Self> {
        let (title, text) = section.split_once('\n')?;
        let mut lines = text.lines().filter(|line| line.starts_with('|')).map(cells);
        let mut header = lines.next()?.into_iter();
        let of = header.next()?;
        let columns: Vec<String> = header.collect();
        let rows = lines.skip(1).filter_map(|cells| {
            let mut cells = cells.into_iter();
            let (name, about) = head(&cells.next()?)?;
            Some(Row { name, about, cells: cells.collect() })
        });
        let rows = rows.collect();
        let notes = text.lines().filter_map(|line| head(line.strip_prefix("- ")?)).collect();
        Some(Self { title: title.to_owned(), of, columns, rows, notes })
    }

    /// The same table with these columns; what this one does not have comes from an older one.
    pub(crate) fn completed(mut self, columns: &[String], older: Option<&Self>) -> Self {
        let older_cell = |row: &str, column: &str| older.and_then(|older| older.cell(row, column));
        for row in &mut self.rows {
            let fresh = columns.iter().map(|column| {
                let place = self.columns.iter().position(|own| own == column);
                let cell = place.and_then(|place| row.cells.get(place));
                cell.or_else(|| older_cell(&row.name, column)).map_or(UNKNOWN, String::as_str).to_owned()
            });
            row.cells = fresh.collect();
        }
        // An older column may be the reason for an older note.
        if columns.iter().any(|column| !self.columns.contains(column)) {
            let known = |note: &(String, String)| self.rows.iter().any(|row| row.name == note.0);
            let old = older.map_or(&[][..], |older| &older.notes);
            let missing: Vec<_> =
                old.iter().filter(|note| known(note) && !self.notes.contains(note)).collect();
            self.notes.extend(missing.into_iter().cloned());
        }
        // In an order that does not hang on which columns were run.
        let place = |name: &str| self.rows.iter().position(|row| row.name == name);
        self.notes.sort_by_cached_key(|(name, why)| (place(name), why.clone()));
        self.columns = columns.to_vec();
        self
    }

    fn cell(&self, row: &str, column: &str) -> Option<&String> {
        let place = self.columns.iter().position(|own| own == column)?;
        self.rows.iter().find(|own| own.name == row)?.cells.get(place)
    }

    /// The table as the page has it.
    pub(crate) fn render(&self) -> String {
        let mut text = format!("\n## {}\n\n| {} |", self.title, self.of);
        let mut line = |cells: &mut dyn Iterator<Item = String>| {
            text.extend(cells.map(|cell| format!(" {cell} |")));
            text.push('\n');
        };
        line(&mut self.columns.iter().cloned());
        text.push_str(&format!("|---|{}\n", "---|".repeat(self.columns.len())));
        for row in &self.rows {
            text.push_str(&format!("| **{}**: {} |", row.name, row.about));
            text.extend(row.cells.iter().map(|cell| format!(" {cell} |")));
            text.push('\n');
        }
        if !self.notes.is_empty() {
            text.push('\n');
        }
        text.extend(self.notes.iter().map(|(name, why)| format!("- **{name}**: {why}\n")));
        text
    }
}

fn cells(line: &str) -> Vec<String> {
    line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// `**name**: about`
fn head(text: &str) -> Option<(String, String)> {
    let (name, about) = text.strip_prefix("**")?.split_once("**: ")?;
    Some((name.to_owned(), about.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[&str], cells: &[&str], note: &str) -> Table {
        let own = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect();
        Table {
            title: "process".into(),
            of: "scenario".into(),
            columns: own(columns),
            rows: vec![Row { name: "fork".into(), about: "A child.".into(), cells: own(cells) }],
            notes: vec![("fork".into(), note.into())],
        }
    }

    #[test]
    fn a_page_is_read_as_it_was_written() {
        let table = table(&["5.10", "own 6.18"], &["seen", "no"], "no hook");
        let page = format!("# Page\n\nText.\n{}", table.render());
        assert_eq!(Table::parse_all(&page), [table]);
    }

    #[test]
    fn columns_that_were_not_run_stay_as_they_were() {
        let older = table(&["5.10", "6.1"], &["seen", "no"], "no hook");
        let fresh = table(&["5.10"], &["partly"], "half a hook");
        let columns = ["5.10", "6.1", "7.x"].map(str::to_owned);
        let both = fresh.completed(&columns, Some(&older));
        assert_eq!(both.rows.first().unwrap().cells, ["partly", "no", "?"]);
        assert_eq!(both.notes.len(), 2);
    }
}
