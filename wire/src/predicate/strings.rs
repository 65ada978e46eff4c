//! Text tests over a batch's string table: each distinct string is judged once, and only when it is asked for.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::HashSet;

use memchr::memmem::Finder;

use super::bits::Bits;
use super::pattern::TextTest;
use crate::batch::Strings;
use crate::term::base_name;

/// A text test with what was found out about one batch's strings. Sets hold string numbers; an empty one takes no memory, so
/// thousands of tests over a million strings stay small as long as few of them pass.
#[derive(Debug, Default)]
pub(super) struct Judged {
    whole: OnceCell<Bits>,
    base: OnceCell<Bits>,
    fragments: OnceCell<Option<Bits>>,
}

impl Judged {
    /// The strings that pass.
    pub(super) fn whole(&self, test: &TextTest, strings: &Strings) -> &Bits {
        self.whole.get_or_init(|| {
            small(match test {
                TextTest::OneOf(values) if are_few(values) => {
                    ending(strings, values, |text, value| text == value)
                }
                TextTest::OneOf(_) => each(strings, |text| test.matches(text, &mut Vec::new())),
                TextTest::Like(pattern) => match pattern.contained() {
                    Some(finder) => containing(strings, finder, pattern.folds()),
                    None => {
                        let mut scratch = Vec::new();
                        each(strings, |text| pattern.matches(text, &mut scratch))
                    }
                },
            })
        })
    }

    /// The strings whose last part, as a path, passes.
    pub(super) fn base(&self, test: &TextTest, strings: &Strings) -> &Bits {
        self.base.get_or_init(|| {
            small(match test {
                TextTest::OneOf(values) if are_few(values) => ending(strings, values, ends_in),
                _ => {
                    let mut scratch = Vec::new();
                    each(strings, |text| test.matches(base_name(text), &mut scratch))
                }
            })
        })
    }

    /// The lists of which the strings, joined by blanks, pass; `lists` are all the lists there are, from number 1.
    pub(super) fn joined<'a>(
        &self,
        test: &TextTest,
        strings: &Strings,
        lists: impl ExactSizeIterator<Item = &'a [u32]>,
    ) -> Bits {
        let mut passing = Bits::none(lists.len() + 1);
        let holds_any = |list: &[u32], bits: &Bits| list.iter().any(|number| bits.get(*number as usize));
        if let Some(bits) = self.in_one_item(test, strings) {
            if !bits.is_empty() {
                lists
                    .enumerate()
                    .filter(|(_, list)| holds_any(list, bits))
                    .for_each(|(n, _)| passing.set(n + 1));
            }
            return passing;
        }
        let likely = self.fragments(test, strings);
        if likely.is_some_and(Bits::is_empty) {
            return passing;
        }
        let (mut line, mut scratch) = (Vec::new(), Vec::new());
        for (n, list) in lists.enumerate() {
            if list.is_empty() || likely.is_some_and(|bits| !holds_any(list, bits)) {
                continue;
            }
            line.clear();
            for (at, number) in list.iter().enumerate() {
                if at > 0 {
                    line.push(b' ');
                }
                line.extend_from_slice(strings.get(*number).unwrap_or_default());
            }
            if test.matches(&line, &mut scratch) {
                passing.set(n + 1);
            }
        }
        passing
    }

    /// Whether no list of these strings can pass when joined by blanks.
    pub(super) fn joined_never(&self, test: &TextTest, strings: &Strings) -> bool {
        match self.in_one_item(test, strings) {
            Some(bits) => bits.is_empty(),
            None => self.fragments(test, strings).is_some_and(Bits::is_empty),
        }
    }

    /// The strings that pass, when a joined list passes just if one of its strings does: when a text without a blank is looked for.
    fn in_one_item(&self, test: &TextTest, strings: &Strings) -> Option<&Bits> {
        match test {
            TextTest::Like(pattern) if pattern.contained().is_some_and(|f| !f.needle().contains(&b' ')) => {
                Some(self.whole(test, strings))
            }
            _ => None,
        }
    }

    /// The strings of which a joined list must have one to pass; `None` where that cannot be told. A run of bytes without a
    /// blank that occurs in the joined text occurs in one of its strings.
    fn fragments(&self, test: &TextTest, strings: &Strings) -> Option<&Bits> {
        let judge = || {
            let (needles, folds) = match test {
                TextTest::OneOf(values) if values.len() <= FEW => {
                    (values.iter().map(|value| longest_run([value.as_ref()])).collect(), false)
                }
                TextTest::OneOf(_) => return None,
                TextTest::Like(pattern) => (vec![longest_run(pattern.literals())], pattern.folds()),
            };
            if needles.iter().any(|needle| needle.is_empty()) {
                return None;
            }
            let mut bits = Bits::none(strings.len() as usize + 1);
            needles.iter().for_each(|needle| bits.unite(&containing(strings, &Finder::new(needle), folds)));
            Some(small(bits))
        };
        self.fragments.get_or_init(judge).as_ref()
    }
}

fn small(bits: Bits) -> Bits {
    if bits.is_empty() { Bits::none(0) } else { bits }
}

/// So few values are looked for one by one.
const FEW: usize = 4;
/// Longer needles are not searched for in all strings at once.
const LONG: usize = 256;

fn longest_run<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> &'a [u8] {
    texts
        .into_iter()
        .flat_map(|text| text.split(|b| *b == b' '))
        .max_by_key(|run| run.len())
        .unwrap_or_default()
}

fn ends_in(path: &[u8], name: &[u8]) -> bool {
    !name.contains(&b'/')
        && path.strip_suffix(name).is_some_and(|rest| rest.last().is_none_or(|b| *b == b'/'))
}

/// Whether these are looked for by [`ending`]. What ends in nothing is every string, and what has a zero byte may overlap itself.
fn are_few(values: &HashSet<Box<[u8]>>) -> bool {
    values.len() <= FEW && values.iter().all(|value| !value.is_empty() && !value.contains(&0))
}

/// The numbers of the strings that end in one of these values and pass with it, all searched at once: a zero byte follows
/// each string.
fn ending(strings: &Strings, values: &HashSet<Box<[u8]>>, passes: impl Fn(&[u8], &[u8]) -> bool) -> Bits {
    let mut bits = Bits::none(strings.len() as usize + 1);
    for value in values {
        let needle = [value.as_ref(), b"\0"].concat();
        for start in Finder::new(&needle).find_iter(strings.concatenated()) {
            let number = strings.at(start);
            if strings.get(number).is_some_and(|text| passes(text, value)) {
                bits.set(number as usize);
            }
        }
    }
    bits
}

/// The numbers of the strings that pass, one by one.
fn each(strings: &Strings, mut passes: impl FnMut(&[u8]) -> bool) -> Bits {
    let mut bits = Bits::none(strings.len() as usize + 1);
    strings.iter().filter(|(_, text)| passes(text)).for_each(|(number, _)| bits.set(number as usize));
    bits
}

/// The numbers of the strings that hold a needle, all searched at once.
fn containing(strings: &Strings, finder: &Finder<'_>, folds: bool) -> Bits {
    if finder.needle().len() > LONG {
        // A hit across strings costs as much as the needle is long, and a host may make one at every string.
        let holds = |text: &[u8]| match folds {
            true => finder.find(&text.to_ascii_lowercase()).is_some(),
            false => finder.find(text).is_some(),
        };
        return each(strings, |text| text.len() >= finder.needle().len() && holds(text));
    }
    let mut bits = Bits::none(strings.len() as usize + 1);
    let text = strings.concatenated();
    let text = if folds { Cow::from(text.to_ascii_lowercase()) } else { Cow::from(text) };
    let mut at = 0;
    while let Some(hit) = text.get(at..).and_then(|rest| finder.find(rest)) {
        let start = at + hit;
        let number = strings.at(start);
        let end = strings.range(number).map_or(start + 1, |range| range.end);
        if start + finder.needle().len() <= end {
            bits.set(number as usize);
        }
        at = end.max(start + 1);
    }
    bits
}
