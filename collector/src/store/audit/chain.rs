//! The chain of entries: each has a digest over the one before and all of itself. Pure.

use sha2::{Digest as _, Sha256};

use super::Record;

/// The digest of an entry, and of all before it.
pub type Digest = [u8; 32];

/// An end of the chain, as an operator notes it to compare a later one with: `NUMBER:DIGEST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The last entry's number, from 1; 0 of the empty chain.
    pub number: u64,
    /// Its digest.
    pub digest: Digest,
}

impl Head {
    /// Before the first entry.
    pub fn empty() -> Self {
        Self { number: 0, digest: Sha256::digest("vedette audit").into() }
    }

    /// Behind this entry.
    #[must_use]
    pub fn after(self, record: &Record) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(self.digest);
        hasher.update(said(record));
        Self { number: self.number + 1, digest: hasher.finalize().into() }
    }
}

impl std::fmt::Display for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.number, hex::encode(self.digest))
    }
}

impl std::str::FromStr for Head {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("found {text:?}, expected NUMBER:DIGEST as an earlier verification printed it");
        let (number, digest) = text.split_once(':').ok_or_else(wrong)?;
        let mut bytes = Digest::default();
        hex::decode_to_slice(digest, &mut bytes).map_err(|_| wrong())?;
        Ok(Self { number: number.parse().map_err(|_| wrong())?, digest: bytes })
    }
}

/// All that an entry says, in one spelling.
pub(super) fn said(record: &Record) -> String {
    let Record { id, at, actor, action, about, address, outcome, detail, number: _, digest: _ } = record;
    serde_json::json!([id, at.unix_us(), actor, action, about, address, outcome, detail]).to_string()
}

/// What is wrong with a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// At which entry.
    pub number: u64,
    /// What was found and what was expected.
    pub said: String,
}

/// Follows a chain, entry by entry.
#[derive(Clone, Debug)]
pub struct Walk {
    head: Head,
    /// An end that was noted earlier, and has to be met.
    noted: Option<Head>,
    /// What is wrong, as far as it is told.
    pub breaks: Vec<Break>,
}

/// So many breaks are told; whoever changes one entry breaks the chain once.
const MAX_BREAKS: usize = 100;

impl Walk {
    /// From the beginning, past an end that was noted earlier.
    pub fn new(noted: Option<Head>) -> Self {
        let mut walk = Self { head: Head::empty(), noted, breaks: Vec::new() };
        walk.compare_noted();
        walk
    }

    /// Where it is.
    pub fn head(&self) -> Head {
        self.head
    }

    /// The next entry, in the order of their numbers.
    pub fn step(&mut self, record: &Record) {
        let (Some(number), Some(digest)) = (record.number, record.digest) else { return };
        let next = self.head.number + 1;
        if number != next {
            self.broken(next, format!("entry {next} is missing: the next one is {number}"));
            // The digest before it is not known: it is taken to be right.
            self.head = Head { number, digest };
            self.compare_noted();
            return;
        }
        let expected = self.head.after(record);
        if expected.digest != digest {
            self.broken(number, format!("entry {number} is not what was written, or one before it is not"));
        }
        self.head = Head { number, digest };
        self.compare_noted();
    }

    /// At the end, which the store says is there.
    pub fn finish(&mut self, stored: Head) {
        if stored != self.head {
            let (found, last) = (self.head.number, stored.number);
            self.broken(found + 1, format!("the log ends at entry {found}, and its end is noted as {last}"));
        }
        if let Some(noted) = self.noted.filter(|noted| noted.number > self.head.number) {
            self.broken(
                noted.number,
                format!("entry {} was there when its digest was noted, and is not any more", noted.number),
            );
        }
    }

    fn compare_noted(&mut self) {
        let Some(noted) = self.noted.filter(|noted| noted.number == self.head.number) else { return };
        if noted.digest != self.head.digest {
            self.broken(noted.number, format!("entry {} has another digest than was noted", noted.number));
        }
    }

    fn broken(&mut self, number: u64, said: String) {
        if self.breaks.len() < MAX_BREAKS {
            self.breaks.push(Break { number, said });
        }
    }
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::store::Stamp;

    fn chain(n: u64) -> Vec<Record> {
        let mut head = Head::empty();
        (1..=n)
            .map(|number| {
                let mut record = Record {
                    id: Uuid::from_u128(number.into()),
                    at: Stamp::from_unix_us(number as i64),
                    actor: "token:1 a".into(),
                    action: "token.create".into(),
                    about: format!("token {number}"),
                    address: None,
                    outcome: "done".into(),
                    detail: None,
                    number: Some(number),
                    digest: None,
                };
                head = head.after(&record);
                record.digest = Some(head.digest);
                record
            })
            .collect()
    }

    fn walked(records: &[Record], noted: Option<Head>, stored: Head) -> Vec<u64> {
        let mut walk = Walk::new(noted);
        records.iter().for_each(|record| walk.step(record));
        walk.finish(stored);
        walk.breaks.iter().map(|found| found.number).collect()
    }

    fn end(records: &[Record]) -> Head {
        let last = records.last().unwrap();
        Head { number: last.number.unwrap(), digest: last.digest.unwrap() }
    }

    #[test]
    fn every_change_shows() {
        let whole = chain(6);
        let stored = end(&whole);
        assert!(walked(&whole, None, stored).is_empty());
        let mut changed = whole.clone();
        changed[2].actor = "somebody else".into();
        assert_eq!(walked(&changed, None, stored), [3]);
        let mut without = whole.clone();
        without.remove(3);
        assert_eq!(walked(&without, None, stored), [4]);
        assert_eq!(walked(&whole[..5], None, stored), [6]);
        let mut swapped = whole.clone();
        swapped.swap(1, 2);
        assert!(!walked(&swapped, None, stored).is_empty());
    }

    #[test]
    fn a_chain_that_was_written_anew_does_not_meet_what_was_noted() {
        let whole = chain(6);
        let noted: Head = end(&whole[..4]).to_string().parse().unwrap();
        assert!(walked(&whole, Some(noted), end(&whole)).is_empty());
        let mut anew = chain(6);
        let mut head = Head::empty();
        for record in &mut anew {
            record.about.push('x');
            head = head.after(record);
            record.digest = Some(head.digest);
        }
        assert!(walked(&anew, None, end(&anew)).is_empty(), "by itself it is whole");
        assert_eq!(walked(&anew, Some(noted), end(&anew)), [4]);
        assert_eq!(walked(&anew[..2], Some(noted), end(&anew[..2])), [4], "it was cut off");
        assert!("4".parse::<Head>().is_err() && "4:zz".parse::<Head>().is_err());
    }
}
