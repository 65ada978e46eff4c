//! From text to tokens. What ends a word depends on where it stands: a colon ends a field's name
//! and is part of a value (`2001:db8::1`, `10:30:00Z`).

use std::net::IpAddr;

use super::{Comparison, Piece, QueryError, Span, Word};

/// Where a token is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Position {
    /// Where a term starts: the next colon ends the name of a field.
    Term,
    /// After `:` or a comparison, and within a list of values.
    Value,
}

/// A token with its place.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) span: Span,
    pub(super) kind: TokenKind,
}

#[derive(Clone, Debug)]
pub(super) enum TokenKind {
    Open,
    Close,
    Colon,
    Comparison(Comparison),
    And,
    Or,
    Not,
    Word {
        word: Word,
        /// Whether it is just the characters typed: no quotes, escapes or wildcards.
        plain: bool,
    },
    End,
}

pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Goes on after this token.
    pub(super) fn advance(&mut self, token: &Token) {
        self.at = token.span.end;
    }

    /// The text of a stretch.
    pub(super) fn slice(&self, span: Span) -> &'a str {
        self.text.get(span.start..span.end).unwrap_or_default()
    }

    /// The next token, without going past it.
    pub(super) fn peek(&self, position: Position) -> Result<Token, QueryError> {
        let rest = self.rest(self.at);
        let start = self.at + (rest.len() - rest.trim_start().len());
        let rest = self.rest(start);
        let symbol = |len: usize, kind| Ok(Token { span: Span::new(start, start + len), kind });
        let mut chars = rest.chars();
        match (chars.next(), chars.next()) {
            (None, _) => symbol(0, TokenKind::End),
            (Some('('), _) => symbol(1, TokenKind::Open),
            (Some(')'), _) => symbol(1, TokenKind::Close),
            (Some(':'), _) if position == Position::Term && address(rest).is_none() => {
                symbol(1, TokenKind::Colon)
            }
            (Some('<'), Some('=')) => symbol(2, TokenKind::Comparison(Comparison::AtMost)),
            (Some('<'), _) => symbol(1, TokenKind::Comparison(Comparison::Less)),
            (Some('>'), Some('=')) => symbol(2, TokenKind::Comparison(Comparison::AtLeast)),
            (Some('>'), _) => symbol(1, TokenKind::Comparison(Comparison::Greater)),
            _ => self.word(start, position),
        }
    }

    fn rest(&self, at: usize) -> &'a str {
        self.text.get(at..).unwrap_or_default()
    }

    fn word(&self, start: usize, position: Position) -> Result<Token, QueryError> {
        let whole_address = address(self.rest(start)).map(|len| start + len);
        let mut word = Word { span: Span::new(start, start), pieces: Vec::new(), fold: false };
        let mut bare: Option<Span> = None;
        let mut quoted = false;
        let mut plain = true;
        let mut at = start;
        while let Some(c) = self.rest(at).chars().next() {
            let next = at + c.len_utf8();
            match c {
                '"' => {
                    let (bytes, end) = self.quoted(at)?;
                    word.push(Piece::Bytes(bytes));
                    at = end;
                    if self.rest(at).starts_with('i') {
                        word.fold = true;
                        at += 1;
                    }
                    (quoted, plain) = (true, false);
                }
                '*' | '?' => {
                    word.push(if c == '*' { Piece::Any } else { Piece::One });
                    (at, plain) = (next, false);
                }
                '\\' => {
                    let (byte, end) = self.escape(at, Position::Term)?;
                    word.push(Piece::Bytes(byte));
                    bare = Some(bare.unwrap_or(Span::new(at, at)).to(Span::new(end, end)));
                    (at, plain) = (end, false);
                }
                '(' | ')' | '<' | '>' => break,
                ':' if position == Position::Term && whole_address.is_none_or(|end| at >= end) => break,
                c if c.is_whitespace() => break,
                c => {
                    word.push(Piece::Bytes(c.to_string().into_bytes()));
                    bare = Some(bare.unwrap_or(Span::new(at, at)).to(Span::new(next, next)));
                    at = next;
                }
            }
        }
        if let (true, Some(span)) = (quoted, bare) {
            return Err(QueryError::new(span, format!("found `{}` against a quoted text", self.slice(span)))
                .expected("a blank between them, or all of it in one pair of quotes"));
        }
        if !word.pieces.iter().any(|piece| matches!(piece, Piece::Bytes(_))) {
            word.fold = false;
        }
        let span = Span::new(start, at);
        word.span = span;
        let kind = match self.slice(span) {
            _ if !plain => TokenKind::Word { word, plain },
            text if text.eq_ignore_ascii_case("and") => TokenKind::And,
            text if text.eq_ignore_ascii_case("or") => TokenKind::Or,
            text if text.eq_ignore_ascii_case("not") => TokenKind::Not,
            _ => TokenKind::Word { word, plain },
        };
        Ok(Token { span, kind })
    }

    /// The bytes of the quoted text that starts here, and where it ends.
    fn quoted(&self, start: usize) -> Result<(Vec<u8>, usize), QueryError> {
        let mut bytes = Vec::new();
        let mut at = start + 1;
        while let Some(c) = self.rest(at).chars().next() {
            match c {
                '"' => return Ok((bytes, at + 1)),
                '\\' => {
                    let (escaped, end) = self.escape(at, Position::Value)?;
                    bytes.extend(escaped);
                    at = end;
                }
                c => {
                    bytes.extend(c.to_string().into_bytes());
                    at += c.len_utf8();
                }
            }
        }
        Err(QueryError::new(Span::new(start, start + 1), "the quote that opens here is never closed")
            .expected("`\"` (within the text, write `\\\"`)"))
    }

    /// What a backslash and what follows it stand for, and where they end.
    fn escape(&self, start: usize, position: Position) -> Result<(Vec<u8>, usize), QueryError> {
        let bad = |len: usize, found: &str| {
            let expected = "one of `\\\\`, `\\\"`, `\\xNN` (two hex digits), `\\n`, `\\t`, `\\r`, or a sign such as `\\*`";
            Err(QueryError::new(Span::new(start, start + len), found.to_owned()).expected(expected))
        };
        let rest = self.rest(start + 1);
        let Some(c) = rest.chars().next() else { return bad(1, "nothing follows `\\`") };
        let one = |byte: u8| Ok((vec![byte], start + 2));
        match c {
            'n' => one(b'\n'),
            't' => one(b'\t'),
            'r' => one(b'\r'),
            'x' => match rest.get(1..3).map(|digits| (digits, u8::from_str_radix(digits, 16))) {
                Some((digits, Ok(byte))) if !digits.starts_with('+') => Ok((vec![byte], start + 4)),
                _ => bad(2, "`\\x` is not followed by two hex digits"),
            },
            c if c.is_ascii_punctuation() || (c.is_whitespace() && position == Position::Term) => {
                Ok((c.to_string().into_bytes(), start + 1 + c.len_utf8()))
            }
            c => bad(1 + c.len_utf8(), &format!("unknown escape `\\{}`", c.escape_debug())),
        }
    }
}

/// How long the IPv6 address or network is that `text` starts with, if the whole run up to the next blank or parenthesis is one.
fn address(text: &str) -> Option<usize> {
    let ends = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"' | '<' | '>');
    let run = text.split(ends).next()?;
    let (address, bits) = run.split_once('/').map_or((run, None), |(a, bits)| (a, Some(bits)));
    let is_address = matches!(address.parse(), Ok(IpAddr::V6(_)));
    let is_network = bits.is_none_or(|bits| bits.parse::<u8>().is_ok_and(|n| n <= 128));
    (is_address && is_network).then_some(run.len())
}
