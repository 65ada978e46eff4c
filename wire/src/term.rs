//! The hashes that batches are found by.
//!
//! A term says "a value of this class occurs in this batch". The collector computes a batch's terms from what it decoded,
//! and a predicate says which terms a batch must have to hold a match ([`crate::predicate::Predicate::candidates`]).
//! Terms only choose candidates: two values may share a hash, and the evaluator always decides.
//!
//! The hash is stored, so classes keep their numbers for ever and the hash never changes: the first 8 bytes, little endian, of
//! `blake3(class number, bytes)`.

use std::net::IpAddr;

use hashbrown::HashSet;

use crate::batch::{Batch, BatchError, Bitmap, Column, Strings, address};
use crate::field::{Field, Place};
use crate::flat;
use crate::predicate::Network;
use crate::value::Value;

mod lately;

/// What kind of value a term stands for. Fields that are likely to be asked for with the same values share a class.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Class {
    /// `event.action`, as in queries (`exec`, `kind-77`).
    Action = 1,
    /// `event.category`.
    Category = 2,
    /// The path of an executable: of the subject, its parent or any ancestor.
    Executable = 3,
    /// The last part of such a path.
    ExecutableName = 4,
    /// A directory above such a path, with the `/` at its end.
    ExecutableDirectory = 5,
    /// `process.script`.
    Script = 6,
    /// `process.user.name`.
    UserName = 7,
    /// `process.user.id`, in decimal.
    UserId = 8,
    /// A container's id.
    ContainerId = 9,
    /// A container's name.
    ContainerName = 10,
    /// The name of a container's image.
    ContainerImage = 11,
    /// A pod's name.
    PodName = 12,
    /// A pod's namespace.
    PodNamespace = 13,
    /// `file.path` or `file.target_path`. Never a term itself: there are too many, and name and directory say the same.
    File = 14,
    /// The last part of such a path, unless it is a number ([`is_number`]).
    FileName = 15,
    /// A directory above such a path, with the `/` at its end.
    FileDirectory = 16,
    /// `source.ip`: the address, 4 or 16 bytes.
    Source = 17,
    /// Its network: the length of the prefix, then the address with the rest zero.
    SourceNetwork = 18,
    /// `destination.ip`, as [`Class::Source`].
    Destination = 19,
    /// Its network, as [`Class::SourceNetwork`].
    DestinationNetwork = 20,
    /// `destination.port`, in decimal.
    DestinationPort = 21,
    /// `dns.question.name`.
    Question = 22,
    /// One of `rule.name`.
    Rule = 23,
    /// `process.hash.sha256`.
    Sha256 = 24,
    /// One of `kubernetes.labels`.
    PodLabel = 25,
    /// Says that the batch has too many distinct values of a class to list any; the bytes are that class's number.
    Cut = 255,
}

/// The lengths of the prefixes that an IPv4 address's networks are found by.
pub const V4_PREFIXES: [u8; 3] = [8, 16, 24];
/// The same for IPv6.
pub const V6_PREFIXES: [u8; 3] = [32, 48, 64];

/// The stored hash of a value of a class.
pub fn hash(class: Class, bytes: &[u8]) -> i64 {
    // Short inputs are copied behind their class: an incremental hasher costs several times the hash itself.
    let mut short = [class as u8; 256];
    let hash = match short.get_mut(1..=bytes.len()) {
        Some(place) => {
            place.copy_from_slice(bytes);
            blake3::hash(short.get(..=bytes.len()).unwrap_or_default())
        }
        None => blake3::Hasher::new().update(&[class as u8]).update(bytes).finalize(),
    };
    let [a, b, c, d, e, f, g, h, ..] = *hash.as_bytes();
    i64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// The term that stands for all values of a class in a batch that has too many of them.
pub fn cut(class: Class) -> i64 {
    hash(Class::Cut, &[class as u8])
}

/// Fields whose whole values are terms as they stand.
pub(crate) const VALUES: &[(Field, Class)] = &[
    (Field::ProcessScript, Class::Script),
    (Field::ProcessUserName, Class::UserName),
    (Field::ProcessUserId, Class::UserId),
    (Field::ProcessHashSha256, Class::Sha256),
    (Field::ContainerId, Class::ContainerId),
    (Field::ContainerName, Class::ContainerName),
    (Field::ContainerImageName, Class::ContainerImage),
    (Field::KubernetesPodName, Class::PodName),
    (Field::KubernetesNamespace, Class::PodNamespace),
    (Field::KubernetesLabels, Class::PodLabel),
    (Field::FilePath, Class::File),
    (Field::FileTargetPath, Class::File),
    (Field::SourceIp, Class::Source),
    (Field::DestinationIp, Class::Destination),
    (Field::DestinationPort, Class::DestinationPort),
    (Field::DnsQuestionName, Class::Question),
    (Field::RuleName, Class::Rule),
];

/// The classes of the last part of a path and of the directories above it, for classes of paths.
pub(crate) fn path_classes(class: Class) -> Option<(Class, Class)> {
    match class {
        Class::Executable => Some((Class::ExecutableName, Class::ExecutableDirectory)),
        Class::File => Some((Class::FileName, Class::FileDirectory)),
        _ => None,
    }
}

/// The class of the networks of an address, for classes of addresses.
pub(crate) fn network_class(class: Class) -> Option<Class> {
    match class {
        Class::Source => Some(Class::SourceNetwork),
        Class::Destination => Some(Class::DestinationNetwork),
        _ => None,
    }
}

/// The last part of a path: what stands after its last `/`.
pub fn base_name(path: &[u8]) -> &[u8] {
    let start = memchr::memrchr(b'/', path).map_or(0, |at| at + 1);
    path.get(start..).unwrap_or_default()
}

/// The name that the path of a file is found by, if it is found by one.
pub(crate) fn file_name(path: &[u8]) -> Option<&[u8]> {
    Some(base_name(path)).filter(|name| !is_number(name))
}

/// Whether this part of a path is the number of something, as `/proc` has them: three digits or more, and nothing else.
/// Those are as many as there are things, so batches are not found by them.
fn is_number(part: &[u8]) -> bool {
    part.len() > 2 && part.iter().all(u8::is_ascii_digit)
}

/// The directories that a path is found by, outermost first, each with its last `/`: at most the
/// first [`MAX_DIRECTORIES`] below the root, and none that is in one named by a number.
pub(crate) fn directories(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut last = 0;
    memchr::memchr_iter(b'/', path)
        .take_while(move |at| {
            let part = path.get(last..*at).unwrap_or_default();
            last = *at + 1;
            !is_number(part)
        })
        .filter(|at| *at > 0)
        .take(MAX_DIRECTORIES)
        .filter_map(|at| path.get(..=at))
}

/// The most directories above one path that are terms.
pub const MAX_DIRECTORIES: usize = 8;

/// The lengths of prefix that an address is found by, shortest first.
pub(crate) fn prefixes(address: IpAddr) -> [u8; 3] {
    if address.is_ipv4() { V4_PREFIXES } else { V6_PREFIXES }
}

/// An address as its classes have it.
pub(crate) fn address_bytes(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// A network as its classes have it.
pub(crate) fn network_bytes(network: &Network) -> Vec<u8> {
    let mut bytes = vec![network.bits()];
    bytes.extend(address_bytes(network.address()));
    bytes
}

/// The terms of a batch, each once, ascending. A class with more than [`MAX_TERMS_PER_CLASS`] values is named as cut instead.
///
/// # Errors
/// When the batch does not decode.
pub fn of_batch(batch: &Batch) -> Result<Vec<i64>, BatchError> {
    let mut terms = Terms::default();
    for group in batch.groups().filter(|group| group.n_rows() > 0) {
        for (field, class) in [(Field::EventAction, Class::Action), (Field::EventCategory, Class::Category)] {
            if let Some(Value::Keyword(text)) = flat::of_kind(field, group.kind()) {
                terms.add(class, &text);
            }
        }
        for &(field, class) in VALUES.iter().filter(|(field, _)| field.place() == Place::Event) {
            if let Some(column) = group.column(field)? {
                terms.column(class, column, batch.strings()?);
            }
        }
        if let Some(column) = group.column(Field::TargetProcessExecutable)? {
            terms.column(Class::Executable, column, batch.strings()?);
        }
    }
    if batch.n_subjects() > 0 {
        for &(field, class) in VALUES.iter().filter(|(field, _)| field.place() == Place::Subject) {
            if let Some(column) = batch.subject_column(field)? {
                terms.column(class, column, batch.strings()?);
            }
        }
        if let Some(column) = batch.subject_column(Field::ProcessExecutable)? {
            terms.column(Class::Executable, column, batch.strings()?);
        }
    }
    Ok(terms.finish())
}

/// The most values of one class that a batch is found by.
pub const MAX_TERMS_PER_CLASS: usize = 4096;

/// More than any class's number but [`Class::Cut`]'s, which no value has.
const N_CLASSES: usize = 32;

/// A batch's terms being collected.
#[derive(Default)]
struct Terms<'a> {
    /// By class.
    by_class: [Vec<i64>; N_CLASSES],
    /// A bit for each class that is cut.
    is_cut: u32,
    /// Parts of paths that are there already: most paths share their directories.
    parts: HashSet<(Class, &'a [u8])>,
}

impl<'a> Terms<'a> {
    fn add(&mut self, class: Class, bytes: &[u8]) {
        let bit = 1 << (class as u8 % 32);
        let Some(terms) = self.by_class.get_mut(class as usize).filter(|_| self.is_cut & bit == 0) else {
            return;
        };
        terms.push(lately::hash(class, bytes));
        if terms.len() > MAX_TERMS_PER_CLASS {
            terms.sort_unstable();
            terms.dedup();
            if terms.len() > MAX_TERMS_PER_CLASS {
                *terms = vec![cut(class)];
                self.is_cut |= bit;
            }
        }
    }

    fn column(&mut self, class: Class, column: &Column, strings: &'a Strings) {
        match column {
            Column::Keyword(numbers) => distinct(numbers, strings).for_each(|text| self.text(class, text)),
            Column::Ip(numbers) => {
                distinct(numbers, strings).filter_map(address).for_each(|a| self.address(class, a))
            }
            Column::List(lists) => {
                let items: Vec<u32> =
                    (1..=lists.n_distinct()).filter_map(|n| lists.distinct(n)).flatten().copied().collect();
                distinct(&items, strings).for_each(|text| self.text(class, text));
            }
            Column::Uint(numbers) => {
                let distinct: HashSet<u64> = numbers.iter().flatten().collect();
                distinct.into_iter().for_each(|n| self.add(class, n.to_string().as_bytes()));
            }
            Column::Int(_) | Column::Bool(_) | Column::Time(_) => {}
        }
    }

    fn text(&mut self, class: Class, text: &'a [u8]) {
        let Some((name, directory)) = path_classes(class) else { return self.add(class, text) };
        if class == Class::File {
            file_name(text).into_iter().for_each(|file| self.part(name, file));
        } else {
            self.add(class, text);
            self.part(name, base_name(text));
        }
        directories(text).for_each(|above| self.part(directory, above));
    }

    fn part(&mut self, class: Class, part: &'a [u8]) {
        if self.parts.insert((class, part)) {
            self.add(class, part);
        }
    }

    fn address(&mut self, class: Class, address: IpAddr) {
        self.add(class, &address_bytes(address));
        if let Some(network) = network_class(class) {
            let address = address.to_canonical();
            prefixes(address)
                .into_iter()
                .for_each(|bits| self.add(network, &network_bytes(&Network::new(address, bits))));
        }
    }

    fn finish(self) -> Vec<i64> {
        let mut all = self.by_class.concat();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// The strings that a column names, each once.
fn distinct<'a>(numbers: &[u32], strings: &'a Strings) -> impl Iterator<Item = &'a [u8]> {
    let mut seen = Bitmap::new(strings.len() as usize + 1);
    numbers.iter().filter_map(move |&number| {
        if number == 0 || seen.get(number as usize) {
            return None;
        }
        seen.set(number as usize);
        strings.get(number)
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::event::Kind;
    use crate::flat::fixture::events;

    #[test]
    fn hashes_are_what_is_stored_already() {
        assert_eq!(hash(Class::Executable, b"/usr/bin/curl"), 7_088_694_815_051_786_191);
        for n in [0, 1, 254, 255, 256, 257, 5_000] {
            let bytes = vec![b'x'; n];
            let whole = blake3::hash(&[&[Class::File as u8][..], &bytes].concat());
            assert_eq!(hash(Class::File, &bytes).to_le_bytes(), whole.as_bytes()[..8], "{n} bytes");
        }
    }

    #[test]
    fn a_file_is_found_by_its_name_and_directories_but_not_by_numbers() {
        let terms_of = |path: &'static str| {
            let row = vec![(Field::FilePath, Value::Keyword(path.into()))];
            of_batch(&events(Kind::EXEC, [row])).unwrap()
        };
        let has = |path, class, bytes: &[u8]| terms_of(path).contains(&hash(class, bytes));
        assert!(has("/proc/12/stat", Class::FileDirectory, b"/proc/12/"), "a version, rather");
        assert!(has("/proc/4711/fd/3", Class::FileDirectory, b"/proc/"));
        assert!(!has("/proc/4711/fd/3", Class::FileDirectory, b"/proc/4711/"));
        assert!(!has("/proc/4711/fd/3", Class::FileDirectory, b"/proc/4711/fd/"));
        assert!(has("/base/16384", Class::FileDirectory, b"/base/"));
        assert!(!has("/base/16384", Class::FileName, b"16384"));
        assert!(has("/base/16384_vm", Class::FileName, b"16384_vm"));
        assert!(!has("/etc/shadow", Class::File, b"/etc/shadow"));
    }

    #[test]
    fn a_class_with_too_many_values_is_cut_and_still_found() {
        let path = |n: usize| vec![(Field::FilePath, Value::Keyword(format!("/a/f{n}").into()))];
        let terms = |n: usize| of_batch(&events(Kind::EXEC, (0..n).map(path))).unwrap();
        let exact = terms(MAX_TERMS_PER_CLASS);
        assert!(exact.contains(&hash(Class::FileName, b"f7")) && !exact.contains(&cut(Class::FileName)));
        let over = terms(MAX_TERMS_PER_CLASS + 1);
        assert!(!over.contains(&hash(Class::FileName, b"f7")) && over.contains(&cut(Class::FileName)));
        assert!(over.contains(&hash(Class::FileDirectory, b"/a/")));
        assert!(over.len() < 10);
    }
}
