//! From the tree of a query to a predicate: values get types, lists of plain values become sets,
//! bare words spread over the fields they are looked for in.

use std::collections::HashSet;

use super::address::{AddressTest, Network};
use super::order::cheapest_first;
use super::pattern::{Pattern, TooLong};
use super::test::Test;
use super::{Expression, Leaf, Options, Predicate, TextTest, hints, store_only, value};
use crate::field::Field;
use crate::limits::{MAX_QUERY_ANY_BYTE_STRETCH, MAX_QUERY_PATTERNS};
use crate::query::{Comparison, Hint, Named, Node, Piece, Query, QueryError, Span, Term, Tree, Word};
use crate::value::FieldType;

/// The fields a bare word is looked for in; a bare address or network is looked for in the addresses too.
pub(crate) const BARE_WORD_FIELDS: &[Field] = &[
    Field::HostName,
    Field::ProcessCommandLine,
    Field::ProcessExecutable,
    Field::ProcessWorkingDirectory,
    Field::ProcessScript,
    Field::ProcessUserName,
    Field::ContainerName,
    Field::ContainerImageName,
    Field::KubernetesNamespace,
    Field::KubernetesPodName,
    Field::TargetProcessExecutable,
    Field::FilePath,
    Field::FileTargetPath,
    Field::DnsQuestionName,
    Field::DnsAnswers,
];

/// The fields a bare address or network is looked for in, besides.
pub(crate) const BARE_ADDRESS_FIELDS: &[Field] = &[Field::SourceIp, Field::DestinationIp];

pub(super) fn compile(query: &Query, options: &Options) -> Result<Predicate, QueryError> {
    let mut compiler =
        Compiler { options, leaves: Vec::new(), texts: Vec::new(), hints: Vec::new(), n_patterns: 0 };
    let root = match &query.root {
        None => Expression::Everything,
        Some(root) => compiler.tree(root, &mut |compiler, term, span| compiler.term(term, span))?,
    };
    let Compiler { leaves, texts, hints, .. } = compiler;
    let root = cheapest_first(root, &leaves);
    Ok(Predicate { root, leaves, texts, hints })
}

struct Compiler<'a> {
    options: &'a Options,
    leaves: Vec<Leaf>,
    texts: Vec<TextTest>,
    hints: Vec<Hint>,
    n_patterns: usize,
}

impl Compiler<'_> {
    fn tree<L>(
        &mut self,
        node: &Node<L>,
        leaf: &mut dyn FnMut(&mut Self, &L, Span) -> Result<Expression, QueryError>,
    ) -> Result<Expression, QueryError> {
        Ok(match &node.tree {
            Tree::Leaf(value) => leaf(self, value, node.span)?,
            Tree::Not(inner) => Expression::Not(Box::new(self.tree(inner, leaf)?)),
            Tree::And(nodes) => {
                let inner: Result<_, _> = nodes.iter().map(|node| self.tree(node, leaf)).collect();
                Expression::And(inner?)
            }
            Tree::Or(nodes) => {
                let inner: Result<Vec<_>, _> = nodes.iter().map(|node| self.tree(node, leaf)).collect();
                self.any(inner?)
            }
        })
    }

    fn term(&mut self, term: &Term, span: Span) -> Result<Expression, QueryError> {
        match term {
            Term::Bare(word) => self.bare(word),
            Term::Has { field, values } => {
                self.available(*field)?;
                self.tree(values, &mut |compiler, word, _| compiler.has(field.field, word))
            }
            Term::Compare { field, comparison, value } => {
                self.available(*field)?;
                self.compare(field.field, *comparison, value, span)
            }
        }
    }

    fn available(&self, named: Named) -> Result<(), QueryError> {
        if store_only(named.field) && !self.options.store_fields {
            return Err(QueryError::new(named.span, format!("{} is not known here", named.field))
                .expected("a field of the event itself, such as process.ancestor.name"));
        }
        Ok(())
    }

    fn has(&mut self, field: Field, word: &Word) -> Result<Expression, QueryError> {
        if word.is_any() {
            return Ok(self.leaf(field, Test::Exists));
        }
        if word.fold && !matches!(field.field_type(), FieldType::Keyword | FieldType::KeywordList) {
            return Err(value::error(field, word, "a text with folded case"));
        }
        let test = match field.field_type() {
            FieldType::Keyword | FieldType::KeywordList => {
                self.hints.extend(hints::hint(field, word));
                Test::Text(self.text(word, false)?)
            }
            FieldType::Uint if field == Field::ProcessCapabilities => {
                match value::capabilities(field, word)? {
                    (bits, true) => Test::Bits(bits),
                    (mask, false) => Test::Numbers(vec![i128::from(mask)..=i128::from(mask)]),
                }
            }
            FieldType::Uint | FieldType::Int => {
                let n = value::number(field, word)?;
                Test::Numbers(vec![n..=n])
            }
            FieldType::Bool => Test::Bool(value::truth(field, word)?),
            FieldType::Ip => Test::Address(AddressTest::new(value::network(field, word)?)),
            FieldType::Time => Test::Numbers(vec![value::time(field, word, self.options.now)?]),
        };
        Ok(self.leaf(field, test))
    }

    fn compare(
        &mut self,
        field: Field,
        comparison: Comparison,
        word: &Word,
        span: Span,
    ) -> Result<Expression, QueryError> {
        let (low, high) = match field.field_type() {
            FieldType::Uint | FieldType::Int if field != Field::ProcessCapabilities => {
                let n = value::number(field, word)?;
                (n, n)
            }
            FieldType::Time => value::time(field, word, self.options.now)?.into_inner(),
            _ => {
                let message = format!("found `{}` after {field}", comparison.symbol());
                return Err(QueryError::new(span, message).expected(format!(
                    "`:` and {} (numbers and times can be compared)",
                    value::wanted(field)
                )));
            }
        };
        let range = match comparison {
            Comparison::Less => i128::MIN..=low - 1,
            Comparison::AtMost => i128::MIN..=high,
            Comparison::Greater => high + 1..=i128::MAX,
            Comparison::AtLeast => low..=i128::MAX,
        };
        Ok(self.leaf(field, Test::Numbers(vec![range])))
    }

    fn bare(&mut self, word: &Word) -> Result<Expression, QueryError> {
        if word.is_any() {
            return Ok(Expression::Everything);
        }
        let text = self.text(word, true)?;
        let mut any: Vec<Expression> =
            BARE_WORD_FIELDS.iter().map(|field| self.leaf(*field, Test::Text(text))).collect();
        let network =
            word.literal().and_then(|bytes| std::str::from_utf8(bytes).ok()?.parse::<Network>().ok());
        if let Some(network) = network {
            any.extend(
                BARE_ADDRESS_FIELDS
                    .iter()
                    .map(|field| self.leaf(*field, Test::Address(AddressTest::new(network)))),
            );
        }
        Ok(Expression::Or(any))
    }

    fn text(&mut self, word: &Word, anywhere: bool) -> Result<usize, QueryError> {
        let test = match word.literal() {
            Some(literal) if !anywhere && !word.fold => TextTest::OneOf(HashSet::from([literal.into()])),
            _ => {
                self.n_patterns += 1;
                if self.n_patterns > MAX_QUERY_PATTERNS {
                    let found = format!("more than {MAX_QUERY_PATTERNS} values that are not plain");
                    return Err(QueryError::new(word.span, found).expected(
                        "fewer wildcards, folded values and bare words; plain values cost little",
                    ));
                }
                TextTest::Like(pattern(word, anywhere)?)
            }
        };
        self.texts.push(test);
        Ok(self.texts.len() - 1)
    }

    fn leaf(&mut self, field: Field, test: Test) -> Expression {
        self.leaves.push(Leaf { field, test });
        Expression::Leaf(self.leaves.len() - 1)
    }

    /// Any of these, with plain values of one field made into one set.
    fn any(&mut self, inner: Vec<Expression>) -> Expression {
        let mut kept: Vec<Expression> = Vec::new();
        let mut sets: Vec<(Field, usize)> = Vec::new();
        for expression in inner {
            let Expression::Leaf(n) = expression else {
                kept.push(expression);
                continue;
            };
            let Some(field) = self.leaves.get(n).map(|leaf| leaf.field) else { continue };
            match sets.iter().find(|(f, into)| *f == field && self.mergeable(*into, n)) {
                Some((_, into)) => self.merge(*into, n),
                None => {
                    sets.push((field, n));
                    kept.push(expression);
                }
            }
        }
        match kept.pop() {
            Some(only) if kept.is_empty() => only,
            last => {
                kept.extend(last);
                Expression::Or(kept)
            }
        }
    }

    fn mergeable(&self, into: usize, from: usize) -> bool {
        let test = |n: usize| self.leaves.get(n).map(|leaf| &leaf.test);
        let plain = |n: usize| matches!(self.texts.get(n), Some(TextTest::OneOf(_)));
        match (test(into), test(from)) {
            (Some(Test::Text(a)), Some(Test::Text(b))) => plain(*a) && plain(*b),
            (Some(Test::Numbers(_)), Some(Test::Numbers(_))) => true,
            (Some(Test::Address(_)), Some(Test::Address(_))) => true,
            _ => false,
        }
    }

    /// Moves what the leaf `from` passes into the leaf `into`. Leaves are only ever named once, so the other may become anything.
    fn merge(&mut self, into: usize, from: usize) {
        let Some(moved) =
            self.leaves.get_mut(from).map(|leaf| std::mem::replace(&mut leaf.test, Test::Exists))
        else {
            return;
        };
        let Some(target) = self.leaves.get_mut(into) else { return };
        if let (Test::Text(into), Test::Text(from)) = (&target.test, &moved) {
            let values = match self.texts.get_mut(*from) {
                Some(TextTest::OneOf(values)) => std::mem::take(values),
                _ => return,
            };
            if let Some(TextTest::OneOf(set)) = self.texts.get_mut(*into) {
                set.extend(values);
            }
            return;
        }
        // Never refused: `mergeable` was asked first.
        let _ = target.test.or(moved);
    }
}

pub(super) fn pattern(word: &Word, anywhere: bool) -> Result<Pattern, QueryError> {
    Pattern::try_new(&word.pieces, word.fold, anywhere).map_err(|TooLong(len)| {
        debug_assert!(word.pieces.contains(&Piece::One));
        QueryError::new(word.span, format!("found a stretch of {len} bytes with `?` in it"))
            .expected(format!("at most {MAX_QUERY_ANY_BYTE_STRETCH} bytes between two `*`"))
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::indexing_slicing, reason = "tests")]
    use expect_test::{Expect, expect};

    use super::*;
    use crate::flat::arbitrary::NOW;

    /// A query as it is understood, or its error.
    #[track_caller]
    fn check(text: &str, expected: Expect) {
        let options = Options { now: NOW, store_fields: false };
        expected.assert_eq(&match Predicate::parse(text, &options) {
            Err(error) => error.to_string(),
            Ok(predicate) => {
                let leaf = |n: usize| {
                    let leaf = &predicate.leaves[n];
                    match &leaf.test {
                        Test::Text(n) => match &predicate.texts[*n] {
                            TextTest::OneOf(values) => {
                                let mut values: Vec<_> =
                                    values.iter().map(|v| v.escape_ascii().to_string()).collect();
                                values.sort();
                                format!("{} in {values:?}", leaf.field)
                            }
                            TextTest::Like(_) => format!("{} like", leaf.field),
                        },
                        test => format!("{} {test:?}", leaf.field),
                    }
                };
                let mut text = predicate.root.to_string();
                if let Expression::Leaf(n) = predicate.root {
                    text = leaf(n);
                }
                predicate.hints.iter().for_each(|hint| text += &format!("\nhint: {hint}"));
                text
            }
        });
    }

    #[test]
    fn values_get_the_type_of_their_field() {
        check("destination.port:0x1bb", expect!["destination.port Numbers([443..=443])"]);
        check("process.exit_code:-1", expect!["process.exit_code Numbers([-1..=-1])"]);
        check(
            "destination.port <= 22",
            expect!["destination.port Numbers([-170141183460469231731687303715884105728..=22])"],
        );
        check("process.interactive:TRUE", expect!["process.interactive Bool(true)"]);
        check("process.capabilities:cap_sys_admin", expect!["process.capabilities Bits(2097152)"]);
        check("process.name:*", expect!["process.name Exists"]);
        check(
            "@timestamp:now-1h30m",
            expect!["@timestamp Numbers([1699994600000000000..=1699994600000000000])"],
        );
        check(
            "@timestamp:2023-11-14",
            expect!["@timestamp Numbers([1699920000000000000..=1700006399999999999])"],
        );
        check(
            "@timestamp:2023-11-14T23:13:20.5+01:00",
            expect!["@timestamp Numbers([1700000000500000000..=1700000000500000000])"],
        );
    }

    #[test]
    fn plain_values_of_one_field_become_a_set() {
        check("process.name:(b or a or \"c d\")", expect![[r#"process.name in ["a", "b", "c d"]"#]]);
        check("process.name:a or process.name:b", expect![[r#"process.name in ["a", "b"]"#]]);
        check("destination.port:(1 or 2)", expect!["destination.port Numbers([1..=1, 2..=2])"]);
        check("process.name:(a or b*) ", expect!["(or 0 1)"]);
        check("process.name:a or process.args:b", expect!["(or 1 0)"]);
    }

    #[test]
    fn cheap_conditions_come_first() {
        check("file.path:x and process.command_line:*y* and event.action:exec", expect!["(and 2 1 0)"]);
        check("file.path:x and (process.name:y or host.name:z)", expect!["(and (or 2 1) 0)"]);
    }

    #[test]
    fn values_that_do_not_fit_are_explained() {
        check(
            "destination.port:http",
            expect![
                "column 18: found `http` as the value of destination.port, expected a number from 0 to 65535; did you mean `80`?"
            ],
        );
        check(
            "é or destination.port:70000",
            expect![
                "column 23: found `70000` as the value of destination.port, expected a number from 0 to 65535"
            ],
        );
        check(
            "destination.port:4*",
            expect![
                "column 18: found a value with wildcards as the value of destination.port, expected a number from 0 to 65535"
            ],
        );
        check(
            "destination.port:+4",
            expect![
                "column 18: found `+4` as the value of destination.port, expected a number from 0 to 65535"
            ],
        );
        check(
            "destination.ip:10.0.0.*",
            expect![
                "column 16: found a value with wildcards as the value of destination.ip, expected an address such as 10.1.2.3 or a network such as 10.0.0.0/8"
            ],
        );
        check(
            "destination.ip:10.0.0.0/33",
            expect![
                "column 16: found `10.0.0.0/33` as the value of destination.ip, expected an address such as 10.1.2.3 or a network such as 10.0.0.0/8"
            ],
        );
        check(
            "process.interactive:yes",
            expect!["column 21: found `yes` as the value of process.interactive, expected true or false"],
        );
        check(
            "@timestamp > yesterday",
            expect![
                "column 14: found `yesterday` as the value of @timestamp, expected a time such as now-15m, 2026-01-31 (that day, in UTC) or 2026-01-31T10:30:00Z"
            ],
        );
        check(
            "process.name > a",
            expect![
                "column 1: found `>` after process.name, expected `:` and a text (numbers and times can be compared)"
            ],
        );
        check(
            "process.pid:\"1\"i",
            expect![
                "column 13: found a text with folded case as the value of process.pid, expected a number from 0 to 4294967295"
            ],
        );
        check(
            "process.capabilities:SYS_ADMN",
            expect![
                "column 22: found `SYS_ADMN` as the value of process.capabilities, expected a capability such as CAP_SYS_ADMIN, or a mask such as 0x200000; did you mean `CAP_SYS_ADMIN`?"
            ],
        );
        check(
            "lineage.ancestor.name:a",
            expect![
                "column 1: lineage.ancestor.name is not known here, expected a field of the event itself, such as process.ancestor.name"
            ],
        );
    }

    #[test]
    fn values_that_no_event_has_get_a_hint() {
        check(
            "event.action:exce",
            expect![[r#"
            event.action in ["exce"]
            hint: no event of this version has `exce` as its event.action; did you mean `exec`?"#]],
        );
        check("event.category:(process or kind-7)", expect![[r#"event.category in ["kind-7", "process"]"#]]);
    }

    #[test]
    fn cost_is_bounded() {
        let patterns = |n: usize| vec!["a*"; n].join(" or ");
        assert!(Predicate::parse(&patterns(256), &Options::default()).is_ok());
        assert!(Predicate::parse(&patterns(257), &Options::default()).is_err());
        let any_byte = |n: usize| "?".repeat(n);
        assert!(Predicate::parse(&any_byte(256), &Options::default()).is_ok());
        assert!(Predicate::parse(&any_byte(257), &Options::default()).is_err());
    }
}
