//! The query language: a text becomes a tree with places, or an error that points at the column.
//!
//! What it looks like is in `docs/query.md`. Nothing here knows what a value means: field names
//! are resolved, values stay bytes and wildcards until [`crate::predicate`] gives them types.
//! Reading is linear in the text, and nesting and size are bounded by [`crate::limits`].

use std::fmt;

mod error;
mod parse;
mod print;
mod scan;
mod suggest;
mod tree;

pub use error::{Hint, QueryError, Span};
pub use suggest::nearest;
pub(crate) use suggest::nearest_of;
pub use tree::{Comparison, Named, Node, Piece, Term, Tree, Word};

/// A query that has been read: which events are wanted, in terms of fields and raw values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// What is asked; `None` (an empty text) asks for everything.
    pub root: Option<Node<Term>>,
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// When the text is not a query, is longer than [`crate::limits::MAX_QUERY_BYTES`], nests deeper than
    /// [`crate::limits::MAX_QUERY_DEPTH`], has more than [`crate::limits::MAX_QUERY_TERMS`] values, or names an unknown field. The
    /// error's span is in bytes of `text`.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        parse::parse(text)
    }
}

impl std::str::FromStr for Query {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        Self::parse(text)
    }
}

impl fmt::Display for Query {
    /// A text that reads back as the same query.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.root.as_ref().map_or(Ok(()), |root| root.fmt(f))
    }
}

#[cfg(test)]
pub(crate) mod arbitrary;

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;

    /// How a text reads: printed in one spelling, or its error as people see it.
    #[track_caller]
    fn check(text: &str, expected: Expect) {
        expected.assert_eq(&match Query::parse(text) {
            Ok(query) => query.to_string(),
            Err(error) => error.render(text),
        });
    }

    #[test]
    fn words_of_the_language() {
        check("", expect![""]);
        check("  ", expect![""]);
        check("a AND b oR c And NoT d", expect!["a and b or c and not d"]);
        check("a and (b or c)", expect!["a and (b or c)"]);
        check("(a)", expect!["a"]);
        check("not (a or not b)", expect!["not (a or not b)"]);
        check("(a and b) and c", expect!["(a and b) and c"]);
    }

    #[test]
    fn fields_and_values() {
        check("process.name : curl", expect!["process.name:curl"]);
        check(
            "process.name:(curl or wget and not \"a b\")",
            expect![[r#"process.name:(curl or wget and not "a b")"#]],
        );
        check("process.name:(curl)", expect!["process.name:curl"]);
        check(
            "destination.port>=10 and destination.port <20",
            expect!["destination.port >= 10 and destination.port < 20"],
        );
        check(
            "destination.ip:2001:db8::/32 and ::1",
            expect![[r#"destination.ip:"2001:db8::/32" and "::1""#]],
        );
        check("@timestamp >= 2026-01-31T10:30:00Z", expect![[r#"@timestamp >= "2026-01-31T10:30:00Z""#]]);
        check("file.path:/etc/* and process.name:*", expect!["file.path:/etc/* and process.name:*"]);
        check("host.tags:env=prod", expect![[r#"host.tags:"env=prod""#]]);
    }

    #[test]
    fn quotes_and_escapes() {
        check(r#""\"\\\x41\xff\n\t\*""#, expect![[r#""\"\\A\xff\n\t*""#]]);
        check(r"a\ b\*c", expect![[r#""a b*c""#]]);
        check(
            r#"*"rm -rf"I"#,
            expect![[r#"
            column 10: found `I` against a quoted text, expected a blank between them, or all of it in one pair of quotes
              *"rm -rf"I
                       ^"#]],
        );
        check(r#"*"rm -rf"i*"#, expect![[r#"*"rm -rf"i*"#]]);
        check("process.name:\"and\" and \"or\"", expect![[r#"process.name:"and" and "or""#]]);
    }

    #[test]
    fn errors_point_at_the_column() {
        check(
            "proces.name:curl",
            expect![[r#"
            column 1: unknown field `proces.name`, expected the name of a field (to look for a text with `:` in it, quote all of it); did you mean `process.name`?
              proces.name:curl
              ^^^^^^^^^^^"#]],
        );
        check(
            "é and pid:1",
            expect![[r#"
            column 7: unknown field `pid`, expected the name of a field (to look for a text with `:` in it, quote all of it); did you mean `process.pid`?
              é and pid:1
                    ^^^"#]],
        );
        check(
            "process.name:",
            expect![[r#"
            column 14: the query ends here, expected a value (quote it if it is a word of the language)
              process.name:
                           ^"#]],
        );
        check(
            "a and",
            expect![[r#"
            column 6: the query ends here, expected a field with a value, or a word to look for
              a and
                   ^"#]],
        );
        check(
            "curl evil",
            expect![[r#"
            column 6: found `evil` after a complete term, expected `and`, `or` or the end; did you mean `curl and evil`?
              curl evil
                   ^^^^"#]],
        );
        check(
            "(a or b",
            expect![[r#"
            column 1: `(` is never closed, expected a `)`
              (a or b
              ^"#]],
        );
        check(
            "a)",
            expect![[r#"
            column 2: `)` without an opening `(`
              a)
               ^"#]],
        );
        check(
            "destination.port:>10",
            expect![[r#"
            column 18: found `>` after `:`, expected a value; a comparison takes the place of `:`; did you mean `destination.port > …`?
              destination.port:>10
                               ^"#]],
        );
        check(
            "process.name=curl",
            expect![[r#"
            column 1: found `=` after the name of a field, expected `:`; did you mean `process.name:curl`?
              process.name=curl
              ^^^^^^^^^^^^^^^^^"#]],
        );
        check(
            "a && b",
            expect![[r#"
            column 3: found `&&`; did you mean `and`?
              a && b
                ^^"#]],
        );
        check(
            "\"abc",
            expect![[r#"
            column 1: the quote that opens here is never closed, expected `"` (within the text, write `\"`)
              "abc
              ^"#]],
        );
        check(
            r#""\q""#,
            expect![[r#"
            column 2: unknown escape `\q`, expected one of `\\`, `\"`, `\xNN` (two hex digits), `\n`, `\t`, `\r`, or a sign such as `\*`
              "\q"
               ^^"#]],
        );
    }

    #[test]
    fn bounds_are_kept() {
        let deep = |n: usize| "(".repeat(n) + "a" + &")".repeat(n);
        assert!(Query::parse(&deep(64)).is_ok());
        assert!(Query::parse(&deep(65)).is_err());
        assert!(Query::parse(&"not ".repeat(10_000)).is_err());
        assert!(Query::parse(&"a".repeat(65 << 10)).is_err());
        let list = |n: usize| format!("process.name:({})", vec!["a"; n].join(" or "));
        assert!(Query::parse(&list(4096)).is_ok());
        assert!(Query::parse(&list(4097)).is_err());
    }

    proptest! {
        #[test]
        fn printed_queries_read_back(query in arbitrary::queries()) {
            let text = query.to_string();
            let back = Query::parse(&text).map_err(|e| TestCaseError::fail(e.render(&text)))?;
            prop_assert_eq!(back.without_spans(), query, "{}", text);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[ a-c:()<>=*?\"\\\\xi/.0-9é]{0,40}|\\PC{0,40}") {
            match Query::parse(&text) {
                Ok(query) => {
                    let again = Query::parse(&query.to_string()).expect("printed queries read back");
                    prop_assert_eq!(again.without_spans(), query.without_spans());
                }
                Err(error) => {
                    prop_assert!(error.span.start <= error.span.end && error.span.end <= text.len());
                    error.render(&text);
                }
            }
        }
    }
}
