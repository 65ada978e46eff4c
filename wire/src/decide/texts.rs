//! Sets of texts that a look-up for the longest prefix decides.
//!
//! A text is looked up as far as [`TEXT_BYTES`] go, with a NUL behind it if all of it fits before that: so a whole
//! text is an entry too, one that ends with the NUL. Of the entries that the text begins with the longest decides.
//! Such sets can be joined, cut and turned round, and stay such sets.

use std::sync::Arc;

use super::TEXT_BYTES;

/// Which texts are accepted, and whether an absent one is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Texts {
    /// In the order of their bytes; each decides otherwise than the longest that it begins with.
    entries: Vec<(Arc<[u8]>, bool)>,
    otherwise: bool,
    absent: bool,
}

impl Texts {
    /// Every text, and none at all.
    pub const ANYTHING: Texts = Texts { entries: Vec::new(), otherwise: true, absent: true };
    /// Every text that is there.
    pub const PRESENT: Texts = Texts { entries: Vec::new(), otherwise: true, absent: false };

    /// The text that is exactly this, if so long a text can be told from those that go on.
    pub(super) fn whole(text: &[u8]) -> Option<Self> {
        (text.len() < TEXT_BYTES).then(|| Self::entry(&[text, b"\0"].concat()))
    }

    /// All texts that begin like this, as far as is looked.
    pub(super) fn beginning(prefix: &[u8]) -> Self {
        match prefix.get(..TEXT_BYTES.min(prefix.len())) {
            Some(prefix) if !prefix.is_empty() => Self::entry(prefix),
            _ => Self::PRESENT,
        }
    }

    fn entry(bytes: &[u8]) -> Self {
        Self { entries: vec![(bytes.into(), true)], otherwise: false, absent: false }
    }

    /// What is in both.
    pub(super) fn and(&self, other: &Self) -> Self {
        self.combine(other, |a, b| a & b)
    }

    /// What is in either.
    pub(super) fn or(&self, other: &Self) -> Self {
        self.combine(other, |a, b| a | b)
    }

    /// Everything else.
    pub(super) fn not(mut self) -> Self {
        self.entries.iter_mut().for_each(|(_, accepts)| *accepts = !*accepts);
        Self { otherwise: !self.otherwise, absent: !self.absent, ..self }
    }

    /// Its entries, in the order of their bytes, each with whether texts whose longest entry it is are accepted.
    pub fn entries(&self) -> &[(Arc<[u8]>, bool)] {
        &self.entries
    }

    /// Whether a text is accepted that begins with no entry.
    pub fn accepts_others(&self) -> bool {
        self.otherwise
    }

    /// Whether an event without such a text is accepted.
    pub fn accepts_absent(&self) -> bool {
        self.absent
    }

    /// Whether nothing is accepted.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && !self.otherwise && !self.absent
    }

    /// Looks up texts (as the kernel does, with their NUL) in the order of their bytes.
    pub fn walk(&self) -> Walk<'_> {
        Walk { rest: self.entries.iter(), around: Vec::new(), otherwise: self.otherwise }
    }

    fn combine(&self, other: &Self, join: fn(bool, bool) -> bool) -> Self {
        let mut keys: Vec<&Arc<[u8]>> =
            [self, other].iter().flat_map(|s| &s.entries).map(|(k, _)| k).collect();
        keys.sort_unstable();
        keys.dedup();
        let (mut ours, mut theirs) = (self.walk(), other.walk());
        let otherwise = join(self.otherwise, other.otherwise);
        let mut entries: Vec<(Arc<[u8]>, bool)> = Vec::with_capacity(keys.len());
        let mut around: Vec<(Arc<[u8]>, bool)> = Vec::new();
        for key in keys {
            let accepts = join(ours.accepts(key), theirs.accepts(key));
            while around.last().is_some_and(|(outer, _)| !key.starts_with(outer)) {
                around.pop();
            }
            if accepts != around.last().map_or(otherwise, |(_, accepts)| *accepts) {
                around.push((Arc::clone(key), accepts));
                entries.push((Arc::clone(key), accepts));
            }
        }
        Self { entries, otherwise, absent: join(self.absent, other.absent) }
    }
}

/// A walk along a set's entries.
pub struct Walk<'a> {
    rest: std::slice::Iter<'a, (Arc<[u8]>, bool)>,
    /// The entries that the last text began with, the longest last.
    around: Vec<&'a (Arc<[u8]>, bool)>,
    otherwise: bool,
}

impl Walk<'_> {
    /// Whether a text is accepted; it must not come before the last one that was asked for.
    pub fn accepts(&mut self, text: &[u8]) -> bool {
        while let Some(entry) = self.rest.as_slice().first().filter(|(key, _)| **key <= *text) {
            self.rest.next();
            if text.starts_with(&entry.0) {
                self.around.push(entry);
            }
        }
        self.around.retain(|(key, _)| text.starts_with(key));
        self.around.last().map_or(self.otherwise, |(_, accepts)| *accepts)
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![expect(clippy::indexing_slicing, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    /// The plain definition.
    pub(in crate::decide) fn accepts(texts: &Texts, text: Option<&[u8]>) -> bool {
        let Some(text) = text else { return texts.absent };
        let looked_up = [text, b"\0"].concat();
        let looked_up = &looked_up[..looked_up.len().min(TEXT_BYTES)];
        let found = texts.entries.iter().filter(|(key, _)| looked_up.starts_with(key));
        found.max_by_key(|(key, _)| key.len()).map_or(texts.otherwise, |(_, accepts)| *accepts)
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            6 => "[ab]{0,4}".prop_map(String::into_bytes),
            1 => (240..260usize, "[ab]{0,2}").prop_map(|(n, end)| [vec![b'a'; n], end.into_bytes()].concat()),
        ]
    }

    fn set() -> impl Strategy<Value = Texts> {
        let leaf = prop_oneof![
            Just(Texts::ANYTHING),
            Just(Texts::PRESENT),
            text().prop_map(|text| Texts::whole(&text).unwrap_or(Texts::PRESENT)),
            text().prop_map(|text| Texts::beginning(&text)),
        ];
        leaf.prop_recursive(4, 16, 2, |inner| {
            prop_oneof![
                (inner.clone(), inner.clone()).prop_map(|(a, b)| a.and(&b)),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| a.or(&b)),
                inner.prop_map(Texts::not),
            ]
        })
    }

    proptest! {
        #[test]
        fn sets_are_joined_as_their_texts_are(a in set(), b in set(), text in prop::option::of(text())) {
            let text = text.as_deref();
            prop_assert_eq!(accepts(&a.and(&b), text), accepts(&a, text) && accepts(&b, text));
            prop_assert_eq!(accepts(&a.or(&b), text), accepts(&a, text) || accepts(&b, text));
            prop_assert_eq!(accepts(&a.clone().not(), text), !accepts(&a, text));
            prop_assert_eq!(&a.clone().not().not(), &a);
            prop_assert_eq!(&a.or(&a.and(&b)).and(&a), &a, "one set has one form");
        }

        #[test]
        fn a_walk_finds_the_longest_entry(a in set(), texts in prop::collection::vec(text(), 0..8)) {
            let mut looked_up: Vec<Vec<u8>> = texts.into_iter().filter(|text| text.len() < TEXT_BYTES).collect();
            looked_up.iter_mut().for_each(|text| text.push(0));
            looked_up.sort();
            let mut walk = a.walk();
            for text in looked_up {
                prop_assert_eq!(walk.accepts(&text), accepts(&a, text.split_last().map(|(_, text)| text)));
            }
        }
    }

    #[test]
    fn a_text_that_may_go_on_is_not_taken_for_a_whole_one() {
        let long = vec![b'a'; TEXT_BYTES];
        assert_eq!(Texts::whole(&long), None);
        let shorter = Texts::whole(&long[1..]).expect("it fits with its NUL");
        assert!(accepts(&shorter, Some(&long[1..])) && !accepts(&shorter, Some(&long)));
        let prefix = Texts::beginning(&[&long[..], b"bb"].concat());
        assert!(accepts(&prefix, Some(&long)) && !accepts(&prefix, Some(&long[1..])));
    }
}
