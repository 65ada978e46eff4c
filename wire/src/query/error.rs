//! What is wrong with a query, and where.

use std::fmt;

/// A stretch of a query's text, in bytes from its start; the end is excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last one.
    pub end: usize,
}

impl Span {
    /// From `start` up to `end`.
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// From the start of `self` to the end of `other`.
    pub const fn to(self, other: Span) -> Self {
        Self { start: self.start, end: other.end }
    }
}

/// A text that is no query, or a query that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    /// Where, in bytes of the text.
    pub span: Span,
    /// The same as a column: characters from 1.
    pub column: usize,
    /// What was found.
    pub message: String,
    /// What was expected in its place.
    pub expected: Option<String>,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

impl QueryError {
    pub(crate) fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, column: span.start + 1, message: message.into(), expected: None, suggestion: None }
    }

    pub(crate) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    pub(crate) fn suggestion(mut self, suggestion: Option<String>) -> Self {
        self.suggestion = suggestion;
        self
    }

    /// The error with its column counted in characters of `text`.
    pub(crate) fn at_column_of(mut self, text: &str) -> Self {
        self.column = text.char_indices().take_while(|(at, _)| *at < self.span.start).count() + 1;
        self
    }

    /// Several lines for people: the error, the text, and a line of carets under the place.
    ///
    /// `text` is the query that failed. Control characters in it are shown as blanks, and a long text is cut
    /// to what stands around the place.
    pub fn render(&self, text: &str) -> String {
        render(text, self.span, &self.to_string())
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.message)?;
        if let Some(expected) = &self.expected {
            write!(f, ", expected {expected}")?;
        }
        if let Some(suggestion) = &self.suggestion {
            write!(f, "; did you mean {suggestion}?")?;
        }
        Ok(())
    }
}

impl std::error::Error for QueryError {}

/// Something odd about a query that is valid all the same: a value that no event of this version has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// Where, in bytes of the text.
    pub span: Span,
    /// What is odd about it.
    pub message: String,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

impl Hint {
    /// Several lines for people, as [`QueryError::render`].
    pub fn render(&self, text: &str) -> String {
        render(text, self.span, &self.to_string())
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; did you mean {suggestion}?"),
            None => Ok(()),
        }
    }
}

/// How many characters are shown before and after the place.
const WINDOW: usize = 60;

fn render(text: &str, span: Span, message: &str) -> String {
    let chars: Vec<(usize, char)> = text.char_indices().collect();
    let start = chars.iter().take_while(|(at, _)| *at < span.start).count();
    let width = chars.iter().skip(start).take_while(|(at, _)| *at < span.end).count().clamp(1, WINDOW);
    let first = start.saturating_sub(WINDOW);
    let shown: String = chars
        .iter()
        .skip(first)
        .take(start - first + width + WINDOW)
        .map(|(_, c)| if c.is_control() { ' ' } else { *c })
        .collect();
    let lead = if first > 0 { "…" } else { "" };
    let indent = " ".repeat(start - first + lead.chars().count());
    format!("{message}\n  {lead}{shown}\n  {indent}{}", "^".repeat(width))
}
