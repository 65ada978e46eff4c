//! Texts: exact values and wildcards, in time linear in the text.
//!
//! A pattern is cut at its `*` into stretches. The first is compared at the text's start, the last at its end, and each
//! one between is looked for as far left as it goes, which is right because a `*` takes whatever is left over: no
//! step is ever taken back. A stretch with `?` is tried at every place, so its length is bounded.

use std::collections::HashSet;

use memchr::memmem::Finder;

use crate::limits::MAX_QUERY_ANY_BYTE_STRETCH;
use crate::query::Piece;

/// A condition on bytes.
#[derive(Clone, Debug)]
pub(super) enum TextTest {
    /// One of these values, whole.
    OneOf(HashSet<Box<[u8]>>),
    /// This pattern.
    Like(Pattern),
}

impl TextTest {
    /// Whether `text` passes. `scratch` is used for folding and may hold anything.
    pub(super) fn matches(&self, text: &[u8], scratch: &mut Vec<u8>) -> bool {
        match self {
            TextTest::OneOf(values) => values.contains(text),
            TextTest::Like(pattern) => pattern.matches(text, scratch),
        }
    }
}

/// A value with wildcards.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    stretches: Vec<Stretch>,
    /// Whether it starts with `*`.
    open_start: bool,
    /// Whether it ends with `*`.
    open_end: bool,
    /// Whether ASCII letters match in either case; the stretches are in lower case then.
    fold: bool,
    /// The length of the shortest text that can match.
    min_len: usize,
}

/// What stands between two `*`.
#[derive(Clone, Debug)]
struct Stretch {
    /// `None` is `?`.
    bytes: Vec<Option<u8>>,
    /// Finds it, when there is no `?` in it.
    finder: Option<Finder<'static>>,
}

/// A stretch with `?` that is too long to be tried everywhere, in bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong(pub(super) usize);

impl Pattern {
    /// The pattern of these pieces; `anywhere` looks for it within the text instead of at its ends.
    pub(super) fn try_new(pieces: &[Piece], fold: bool, anywhere: bool) -> Result<Self, TooLong> {
        let mut units: Vec<Vec<Option<u8>>> = vec![Vec::new()];
        for piece in pieces {
            let Some(current) = units.last_mut() else { break };
            match piece {
                Piece::Any => units.push(Vec::new()),
                Piece::One => current.push(None),
                Piece::Bytes(bytes) => {
                    current
                        .extend(bytes.iter().map(|b| Some(if fold { b.to_ascii_lowercase() } else { *b })));
                }
            }
        }
        let open_start = anywhere || matches!(pieces.first(), Some(Piece::Any));
        let open_end = anywhere || matches!(pieces.last(), Some(Piece::Any));
        let stretches = units
            .into_iter()
            .filter(|bytes| !bytes.is_empty())
            .map(Stretch::try_new)
            .collect::<Result<Vec<_>, _>>()?;
        let min_len = stretches.iter().map(|stretch| stretch.bytes.len()).sum();
        Ok(Self { stretches, open_start, open_end, fold, min_len })
    }

    pub(super) fn matches(&self, text: &[u8], scratch: &mut Vec<u8>) -> bool {
        if text.len() < self.min_len {
            return false;
        }
        if self.fold {
            scratch.clear();
            scratch.extend(text.iter().map(u8::to_ascii_lowercase));
            return self.matches_folded(scratch);
        }
        self.matches_folded(text)
    }

    /// Whether ASCII letters match in either case. The pattern's own bytes are in lower case then.
    pub(super) fn folds(&self) -> bool {
        self.fold
    }

    /// The one run of bytes that a text must contain to match, when that is all there is to it.
    pub(super) fn contained(&self) -> Option<&Finder<'static>> {
        match self.stretches.as_slice() {
            [only] if self.open_start && self.open_end => only.finder.as_ref(),
            _ => None,
        }
    }

    /// The bytes that every match starts with, as far as they are known.
    pub(super) fn prefix(&self) -> Option<Vec<u8>> {
        if self.open_start || self.fold {
            return None;
        }
        self.stretches.first().map(|first| first.bytes.iter().map_while(|b| *b).collect())
    }

    /// The bytes that every match ends with, as far as they are known.
    pub(super) fn suffix(&self) -> Option<Vec<u8>> {
        if self.open_end || self.fold {
            return None;
        }
        let last = self.stretches.last()?;
        let mut bytes: Vec<u8> = last.bytes.iter().rev().map_while(|b| *b).collect();
        bytes.reverse();
        Some(bytes)
    }

    /// Runs of bytes that every match contains.
    pub(super) fn literals(&self) -> impl Iterator<Item = &[u8]> {
        self.stretches.iter().filter_map(|stretch| stretch.finder.as_ref().map(Finder::needle))
    }

    fn matches_folded(&self, text: &[u8]) -> bool {
        if text.len() < self.min_len {
            return false;
        }
        let (mut rest, mut stretches) = (text, self.stretches.as_slice());
        if !self.open_start
            && let Some((first, others)) = stretches.split_first()
        {
            if others.is_empty() && !self.open_end && first.bytes.len() != text.len() {
                return false;
            }
            let Some((head, tail)) = rest.split_at_checked(first.bytes.len()) else { return false };
            if !first.is(head) {
                return false;
            }
            (rest, stretches) = (tail, others);
        }
        if !self.open_end
            && let Some((last, others)) = stretches.split_last()
        {
            let at = rest.len().checked_sub(last.bytes.len());
            let Some((head, tail)) = at.and_then(|at| rest.split_at_checked(at)) else { return false };
            if !last.is(tail) {
                return false;
            }
            (rest, stretches) = (head, others);
        }
        for stretch in stretches {
            let after = stretch.find(rest).map(|at| at + stretch.bytes.len());
            let Some(after) = after.and_then(|after| rest.get(after..)) else { return false };
            rest = after;
        }
        !self.stretches.is_empty() || self.open_start || self.open_end || text.is_empty()
    }
}

impl Stretch {
    fn try_new(bytes: Vec<Option<u8>>) -> Result<Self, TooLong> {
        let literal: Option<Vec<u8>> = bytes.iter().copied().collect();
        if literal.is_none() && bytes.len() > MAX_QUERY_ANY_BYTE_STRETCH {
            return Err(TooLong(bytes.len()));
        }
        Ok(Self { finder: literal.map(|literal| Finder::new(&literal).into_owned()), bytes })
    }

    /// Whether `text`, which has the stretch's length, is it.
    fn is(&self, text: &[u8]) -> bool {
        match &self.finder {
            Some(finder) => finder.needle() == text,
            None => self.bytes.iter().zip(text).all(|(want, byte)| want.is_none_or(|want| want == *byte)),
        }
    }

    fn find(&self, text: &[u8]) -> Option<usize> {
        match &self.finder {
            Some(finder) => finder.find(text),
            None => text.windows(self.bytes.len()).position(|window| self.is(window)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::indexing_slicing, reason = "tests")]
    use proptest::prelude::*;

    use super::*;
    use crate::query::{Query, Term, Tree};

    fn pattern(word: &str, anywhere: bool) -> Pattern {
        let query = Query::parse(word).expect("a word");
        let Some(Tree::Leaf(Term::Bare(word))) = query.root.map(|root| root.tree) else {
            panic!("not a bare word")
        };
        Pattern::try_new(&word.pieces, word.fold, anywhere).expect("short enough")
    }

    #[track_caller]
    fn check(word: &str, matching: &[&str], others: &[&str]) {
        let pattern = pattern(word, false);
        for text in matching {
            assert!(pattern.matches(text.as_bytes(), &mut Vec::new()), "{word} should match {text:?}");
        }
        for text in others {
            assert!(!pattern.matches(text.as_bytes(), &mut Vec::new()), "{word} should not match {text:?}");
        }
    }

    #[test]
    fn wildcards_match_what_they_say() {
        check("curl", &["curl"], &["curl2", "xcurl", "cur", "", "CURL"]);
        check("*", &["", "a"], &[]);
        check("\"\"", &[""], &["a"]);
        check("/etc/*", &["/etc/", "/etc/a/b"], &["/etc", "/etcx"]);
        check("*.conf", &["a.conf", ".conf"], &["a.conf2", "conf"]);
        check("a*b*c", &["abc", "aXbYc", "abbcc"], &["ab", "ac", "cab", "abcd"]);
        check("ab*ba", &["abba", "abXba"], &["aba", "ab"]);
        check("?", &["a"], &["", "ab"]);
        check("a?c*", &["abc", "axcdef"], &["ac", "abdc"]);
        check("*?b", &["ab", "bb", "aab"], &["b"]);
        check("\"CuRl\"i", &["curl", "CURL"], &["curl "]);
        check("*\"SHADOW\"i*", &["/etc/Shadow-"], &["/etc/shado"]);
        check("\"*\"", &["*"], &["a"]);
    }

    #[test]
    fn a_pattern_built_to_explode_is_linear() {
        let word = "a*".repeat(2_000) + "b";
        let text = vec![b'a'; 64 << 10];
        assert!(!pattern(&word, false).matches(&text, &mut Vec::new()));
        let word = "*".to_owned() + &"a?".repeat(100) + "b*";
        assert!(!pattern(&word, false).matches(&text, &mut Vec::new()));
    }

    /// The plain definition of a match, by trying every way.
    fn slow(pattern: &[Piece], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((Piece::Any, rest)) => (0..=text.len()).any(|n| slow(rest, &text[n..])),
            Some((Piece::One, rest)) => !text.is_empty() && slow(rest, &text[1..]),
            Some((Piece::Bytes(b), rest)) => text.starts_with(b) && slow(rest, &text[b.len()..]),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(
            pieces in prop::collection::vec(
                prop_oneof![Just(Piece::Any), Just(Piece::One), "[ab]{1,2}".prop_map(|s| Piece::Bytes(s.into_bytes()))], 0..6),
            text in "[ab]{0,8}",
        ) {
            let pattern = Pattern::try_new(&pieces, false, false).expect("short");
            prop_assert_eq!(pattern.matches(text.as_bytes(), &mut Vec::new()), slow(&pieces, text.as_bytes()));
            let anywhere = Pattern::try_new(&pieces, false, true).expect("short");
            let mut open = vec![Piece::Any];
            open.extend(pieces);
            open.push(Piece::Any);
            prop_assert_eq!(anywhere.matches(text.as_bytes(), &mut Vec::new()), slow(&open, text.as_bytes()));
        }
    }
}
