//! Which batches could hold a match, as far as their terms tell.
//!
//! Every batch that holds a match satisfies the predicate's candidates; the reverse is for the
//! evaluator to say. A negated condition narrows nothing, as batches do not list what they lack.

use super::address::{AddressTest, Network};
use super::pattern::Pattern;
use super::{Expression, Leaf, Predicate, Test, TextTest};
use crate::field::Field;
use crate::term::{self, Class};

/// What a batch's terms must be like for it to hold a match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Candidates {
    /// Anything: terms do not narrow the search.
    Any,
    /// This term is there. Never stands alone in meaning: use [`Candidates::hashes`] or [`Candidates::admit`], which also
    /// take batches that list too many values of the class to name them.
    Term {
        /// The class of the value.
        class: Class,
        /// The value's bytes, in the class's form.
        bytes: Vec<u8>,
    },
    /// All of these.
    And(Vec<Candidates>),
    /// Any of these.
    Or(Vec<Candidates>),
}

impl Candidates {
    /// The hashes that one term of the tree stands for: a batch that has either satisfies it.
    /// `None` for what is not a term.
    pub fn hashes(&self) -> Option<[i64; 2]> {
        match self {
            Candidates::Term { class, bytes } => Some([term::hash(*class, bytes), term::cut(*class)]),
            _ => None,
        }
    }

    /// Whether a batch with these terms could hold a match; `has` says whether it has one.
    pub fn admit(&self, has: &dyn Fn(i64) -> bool) -> bool {
        match self {
            Candidates::Any => true,
            Candidates::Term { .. } => self.hashes().is_some_and(|hashes| hashes.into_iter().any(has)),
            Candidates::And(inner) => inner.iter().all(|c| c.admit(has)),
            Candidates::Or(inner) => inner.iter().any(|c| c.admit(has)),
        }
    }

    fn all(inner: Vec<Candidates>) -> Candidates {
        let mut inner: Vec<_> = inner.into_iter().filter(|c| *c != Candidates::Any).collect();
        match inner.pop() {
            None => Candidates::Any,
            Some(only) if inner.is_empty() => only,
            Some(last) => {
                inner.push(last);
                Candidates::And(inner)
            }
        }
    }

    /// Any of these, of which there is at least one.
    fn any(mut inner: Vec<Candidates>) -> Candidates {
        if inner.contains(&Candidates::Any) {
            return Candidates::Any;
        }
        match inner.pop() {
            None => Candidates::Any,
            Some(only) if inner.is_empty() => only,
            Some(last) => {
                inner.push(last);
                Candidates::Or(inner)
            }
        }
    }
}

impl Predicate {
    /// Which terms a batch must have to hold a match.
    pub fn candidates(&self) -> Candidates {
        self.candidates_of(&self.root, true)
    }

    fn candidates_of(&self, expression: &Expression, wanted: bool) -> Candidates {
        match expression {
            Expression::Everything => Candidates::Any,
            Expression::Not(inner) => self.candidates_of(inner, !wanted),
            Expression::And(inner) | Expression::Or(inner) => {
                let is_and = matches!(expression, Expression::And(_));
                let inner = inner.iter().map(|e| self.candidates_of(e, wanted)).collect();
                if is_and == wanted { Candidates::all(inner) } else { Candidates::any(inner) }
            }
            Expression::Leaf(n) if wanted => {
                self.leaves.get(*n).map_or(Candidates::Any, |leaf| self.of_leaf(leaf))
            }
            Expression::Leaf(_) => Candidates::Any,
        }
    }

    fn of_leaf(&self, leaf: &Leaf) -> Candidates {
        let Some(class) = class_of(leaf.field) else { return Candidates::Any };
        let term = |class, bytes: &[u8]| Candidates::Term { class, bytes: bytes.to_vec() };
        match &leaf.test {
            Test::Text(n) => match self.texts.get(*n) {
                Some(TextTest::OneOf(values)) => {
                    let of = |value: &[u8]| match class {
                        Class::File => of_file(Some(value), Some(value)),
                        _ => term(class, value),
                    };
                    Candidates::any(values.iter().map(|value| of(value)).collect())
                }
                Some(TextTest::Like(pattern)) => of_pattern(class, pattern),
                None => Candidates::Any,
            },
            Test::Numbers(ranges) => Candidates::any(
                ranges
                    .iter()
                    .map(|range| match range.start() == range.end() {
                        true => term(class, range.start().to_string().as_bytes()),
                        false => Candidates::Any,
                    })
                    .collect(),
            ),
            Test::Address(test) => of_address(class, test),
            Test::Exists | Test::Bits(_) | Test::Bool(_) => Candidates::Any,
        }
    }
}

/// The class of a field's whole values.
fn class_of(field: Field) -> Option<Class> {
    Some(match field {
        Field::EventAction => Class::Action,
        Field::EventCategory => Class::Category,
        Field::ProcessExecutable
        | Field::ProcessParentExecutable
        | Field::ProcessAncestorExecutable
        | Field::TargetProcessExecutable => Class::Executable,
        Field::ProcessName | Field::ProcessParentName | Field::ProcessAncestorName => Class::ExecutableName,
        field => term::VALUES.iter().find(|(f, _)| *f == field)?.1,
    })
}

/// What is known of a path by a pattern: the directory it is in, and its last part.
fn of_pattern(class: Class, pattern: &Pattern) -> Candidates {
    let Some((name, directory)) = term::path_classes(class) else { return Candidates::Any };
    let prefix = pattern.prefix();
    let suffix = pattern.suffix().filter(|suffix| suffix.contains(&b'/'));
    if class == Class::File {
        return of_file(prefix.as_deref(), suffix.as_deref());
    }
    let above = prefix.as_ref().and_then(|prefix| term::directories(prefix).last());
    let above = above.map(|bytes| Candidates::Term { class: directory, bytes: bytes.to_vec() });
    let last = suffix.map(|suffix| term::base_name(&suffix).to_vec());
    let last = last.map(|bytes| Candidates::Term { class: name, bytes });
    Candidates::all(above.into_iter().chain(last).collect())
}

/// The same for a file whose path begins and ends so.
fn of_file(prefix: Option<&[u8]>, suffix: Option<&[u8]>) -> Candidates {
    let term = |class, bytes: &[u8]| Candidates::Term { class, bytes: bytes.to_vec() };
    let above = prefix.and_then(|prefix| term::directories(prefix).last());
    let last = suffix.and_then(term::file_name);
    let above = above.map(|bytes| term(Class::FileDirectory, bytes));
    Candidates::all(above.into_iter().chain(last.map(|bytes| term(Class::FileName, bytes))).collect())
}

fn of_address(class: Class, test: &AddressTest) -> Candidates {
    let Some(network_class) = term::network_class(class) else { return Candidates::Any };
    let single =
        test.addresses.iter().map(|address| Candidates::Term { class, bytes: term::address_bytes(*address) });
    let networks = test.networks.iter().map(|network| {
        let indexed =
            term::prefixes(network.address()).into_iter().rev().find(|bits| *bits <= network.bits());
        indexed.map_or(Candidates::Any, |bits| Candidates::Term {
            class: network_class,
            bytes: term::network_bytes(&Network::new(network.address(), bits)),
        })
    });
    Candidates::any(single.chain(networks).collect())
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::predicate::Options;

    fn show(candidates: &Candidates) -> String {
        let joined = |inner: &[Candidates], by: &str| {
            format!("({})", inner.iter().map(show).collect::<Vec<_>>().join(by))
        };
        match candidates {
            Candidates::Any => "any".to_owned(),
            Candidates::Term { class, bytes } => format!("{class:?}:{}", bytes.escape_ascii()),
            Candidates::And(inner) => joined(inner, " and "),
            Candidates::Or(inner) => joined(inner, " or "),
        }
    }

    #[track_caller]
    fn check(text: &str, expected: Expect) {
        let predicate = Predicate::parse(text, &Options::default()).expect("a query");
        expected.assert_eq(&show(&predicate.candidates()));
    }

    #[test]
    fn exact_values_are_terms() {
        check(
            "process.name:curl and destination.port:443",
            expect!["(ExecutableName:curl and DestinationPort:443)"],
        );
        check(
            "process.parent.executable:/a or process.ancestor.name:b",
            expect!["(Executable:/a or ExecutableName:b)"],
        );
        check("event.action:exec and process.user.id:0", expect!["(Action:exec and UserId:0)"]);
        check("destination.ip:::ffff:10.0.0.1", expect![[r"Destination:\n\x00\x00\x01"]]);
    }

    #[test]
    fn paths_and_networks_are_found_by_what_is_above() {
        check("file.path:/etc/*", expect!["FileDirectory:/etc/"]);
        check("file.path:/etc/ssh/ss*/config", expect!["(FileDirectory:/etc/ssh/ and FileName:config)"]);
        check("process.executable:*/bash", expect!["ExecutableName:bash"]);
        check("file.path:/etc/ssh/config", expect!["(FileDirectory:/etc/ssh/ and FileName:config)"]);
        check("file.path:/proc/4711/status", expect!["(FileDirectory:/proc/ and FileName:status)"]);
        check("file.path:/base/16384", expect!["FileDirectory:/base/"]);
        check("file.path:x", expect!["FileName:x"]);
        check("file.path:*/4711", expect!["any"]);
        check("file.path:/*", expect!["any"]);
        check("file.path:/etc*", expect!["any"]);
        check("source.ip:10.1.2.0/23", expect![[r"SourceNetwork:\x10\n\x01\x00\x00"]]);
        check("source.ip:10.0.0.0/7", expect!["any"]);
    }

    #[test]
    fn what_terms_cannot_tell_is_left_open() {
        check("", expect!["any"]);
        check("curl", expect!["any"]);
        check("process.command_line:*x*", expect!["any"]);
        check("not process.name:curl", expect!["any"]);
        check("process.name:curl and not host.name:x", expect!["ExecutableName:curl"]);
        check("not (not process.name:curl or file.path:x)", expect!["ExecutableName:curl"]);
        check("process.name:curl or file.path:*x*", expect!["any"]);
        check("destination.port > 5 and process.name:*", expect!["any"]);
    }
}
