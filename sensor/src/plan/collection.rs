//! A collection: which events are shipped.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::layout::{self, NoRoom};
use super::line::{Line, Outcome, Refusal};
use super::tables::Tables;

/// The collection that is used where no other is named, as text.
pub const DEFAULT: &str = include_str!("../../collection/default.txt");
/// The longest collection, in bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// The most lines with a query on them.
pub const MAX_ENTRIES: usize = 1024;

/// Which events are shipped: a query on each line, and any of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    lines: Vec<Line>,
    digest: [u8; 16],
    tables: Tables,
}

/// Why a text is no collection at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CollectionError {
    /// It is too large.
    #[error("the collection has more than {MAX_BYTES} bytes; leave lines out")]
    TooLarge,
    /// It has too many queries.
    #[error("the collection has more than {MAX_ENTRIES} queries; join some with `or`")]
    TooMany,
}

impl Collection {
    /// Reads a collection: a query a line. Blank lines and those that begin with `#` say nothing.
    ///
    /// # Errors
    /// When it is larger than [`MAX_BYTES`] or has more than [`MAX_ENTRIES`] queries. What is wrong with one line is
    /// told by [`Collection::refusals`].
    pub fn read(bytes: &[u8]) -> Result<Self, CollectionError> {
        if bytes.len() > MAX_BYTES {
            return Err(CollectionError::TooLarge);
        }
        let mut lines = Vec::new();
        // In one spelling and one order: what is written otherwise and means the same has the same digest.
        let mut spelt: BTreeMap<String, usize> = BTreeMap::new();
        for (number, bytes) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            let Some((mut line, spelling)) = Line::read(number, bytes) else { continue };
            if lines.len() == MAX_ENTRIES {
                return Err(CollectionError::TooMany);
            }
            if line.refusal().is_none() {
                match spelt.get(&spelling) {
                    Some(first) => line.outcome = Outcome::Repeats(*first),
                    None => drop(spelt.insert(spelling, number)),
                }
            }
            lines.push(line);
        }
        let tables = lay_out(&mut lines);
        let accepted =
            |number: &usize| lines.iter().any(|line| line.number == *number && line.refusal().is_none());
        let mut hasher = blake3::Hasher::new();
        for (spelling, _) in spelt.iter().filter(|(_, number)| accepted(number)) {
            hasher.update(spelling.as_bytes()).update(b"\n");
        }
        let mut digest = [0; 16];
        hasher.finalize_xof().fill(&mut digest);
        Ok(Self { lines, digest, tables })
    }

    /// The collection that is used where no other is named.
    pub fn built_in() -> &'static Self {
        static BUILT_IN: LazyLock<Collection> = LazyLock::new(|| {
            Collection::read(DEFAULT.as_bytes()).expect("the text is within the bounds, as a test holds")
        });
        &BUILT_IN
    }

    /// Its lines that have a query on them.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The lines that are refused, each with the reason.
    pub fn refusals(&self) -> impl Iterator<Item = (&Line, &Refusal)> {
        self.lines.iter().filter_map(|line| Some((line, line.refusal()?)))
    }

    /// What it is called in batches: the first 16 bytes of the blake3 hash of its queries, each once, in the spelling of
    /// [`wire::query::Query`], in the order of their bytes, with a line feed after each. Refused ones are left out.
    pub fn digest(&self) -> [u8; 16] {
        self.digest
    }

    /// What the kernel has to look into. Refused lines are left out.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The same, by which what these queries ask for is shipped too. They are no part of the collection: it is called the same.
    ///
    /// # Errors
    /// When the kernel can decide one of them not at all, or not beside the collection.
    pub fn tables_with(&self, queries: &[String]) -> Result<Tables, Refusal> {
        let more: Vec<Line> =
            (1..).zip(queries).filter_map(|(n, query)| Some(Line::read(n, query.as_bytes())?.0)).collect();
        if let Some(refusal) = more.iter().find_map(Line::refusal) {
            return Err(refusal.clone());
        }
        layout::lay_out(self.lines.iter().chain(&more).flat_map(Line::rows))
            .map_err(|NoRoom { what, found, most }| Refusal::NoRoom { what, found, most })
    }
}

/// The tables of the lines, from the first on as many as there is room for; refuses the others.
fn lay_out(lines: &mut [Line]) -> Tables {
    let lay = |n: usize| layout::lay_out(lines.iter().take(n).flat_map(Line::rows));
    let full = match lay(lines.len()) {
        Ok(tables) => return tables,
        Err(full) => full,
    };
    // What does not fit does not with more lines either.
    let (mut fits, mut too_many, mut why) = (0, lines.len(), full);
    while too_many - fits > 1 {
        let half = fits.midpoint(too_many);
        match lay(half) {
            Ok(_) => fits = half,
            Err(full) => (too_many, why) = (half, full),
        }
    }
    let tables = lay(fits).unwrap_or_default();
    let NoRoom { what, found, most } = why;
    for line in lines.iter_mut().skip(fits).filter(|line| !line.rows().is_empty()) {
        line.outcome = Outcome::Refused(Refusal::NoRoom { what, found, most });
    }
    tables
}
