//! A value as typed, as what the kernel can do with it.

use super::pattern::Pattern;
use super::texts::Texts;
use super::{MAX_PATTERN_BYTES, MAX_PIECES, TEXT_BYTES};
use crate::query::{Piece, QueryError, Word};

/// What a look-up can tell of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// No text is it.
    Never,
    /// Every text is.
    Any,
    /// All of it.
    Known(Texts),
    /// How a text that is it begins; then it has to be looked at.
    Like { prefix: Vec<u8>, pattern: Pattern },
}

/// A path.
pub(super) fn path(word: &Word) -> Result<Shape, QueryError> {
    if word.is_any() {
        return Ok(Shape::Any);
    }
    plain(word)?;
    let at_start = !matches!(word.pieces.first(), Some(Piece::Any));
    let at_end = !matches!(word.pieces.last(), Some(Piece::Any));
    let pieces = stretches(word);
    match pieces.as_slice() {
        [] => return Ok(Texts::whole(b"").map_or(Shape::Never, Shape::Known)),
        [text] if at_start && at_end => {
            if let Some(texts) = Texts::whole(text) {
                return Ok(Shape::Known(texts));
            }
        }
        [text] if at_start && text.len() <= TEXT_BYTES => return Ok(Shape::Known(Texts::beginning(text))),
        _ => {}
    }
    let prefix = pieces.first().filter(|_| at_start).cloned().unwrap_or_default();
    Ok(Shape::Like { prefix, pattern: bounded(word, Pattern { pieces, at_start, at_end })? })
}

/// The last part of a path. Every path that the kernel builds begins with a `/`.
pub(super) fn name(word: &Word) -> Result<Shape, QueryError> {
    if word.is_any() {
        return Ok(Shape::Any);
    }
    plain(word)?;
    let (tail, before) = match word.pieces.as_slice() {
        [] => (&b""[..], &b"/"[..]),
        [Piece::Bytes(name)] => (name.as_slice(), &b"/"[..]),
        [Piece::Any, Piece::Bytes(end)] => (end.as_slice(), &b""[..]),
        _ => {
            return Err(QueryError::new(
                word.span,
                "found a `*` that is not at the start of a program's name",
            )
            .expected("a name, or one with `*` at its start; ask for process.executable instead"));
        }
    };
    if tail.contains(&b'/') {
        return Ok(Shape::Never);
    }
    let pattern = Pattern { pieces: vec![[before, tail].concat()], at_start: false, at_end: true };
    Ok(Shape::Like { prefix: Vec::new(), pattern: bounded(word, pattern)? })
}

/// Refuses what no look-up and no pattern of the kernel can say.
fn plain(word: &Word) -> Result<(), QueryError> {
    let bytes = || {
        word.pieces.iter().filter_map(|piece| match piece {
            Piece::Bytes(bytes) => Some(bytes),
            _ => None,
        })
    };
    if word.fold && bytes().flatten().any(u8::is_ascii_alphabetic) {
        return Err(QueryError::new(
            word.span,
            "found a value with folded case, which the kernel cannot compare",
        )
        .expected("a value in the case that is meant"));
    }
    if word.pieces.contains(&Piece::One) {
        return Err(QueryError::new(word.span, "found a `?`, which the kernel cannot compare")
            .expected("a `*` in its place, or a list of values"));
    }
    if bytes().flatten().any(|byte| *byte == 0) {
        return Err(
            QueryError::new(word.span, "found a NUL byte, which no path has").expected("a value without it")
        );
    }
    Ok(())
}

/// What stands between the wildcards.
fn stretches(word: &Word) -> Vec<Vec<u8>> {
    let pieces = word.pieces.iter().filter_map(|piece| match piece {
        Piece::Bytes(bytes) => Some(bytes.clone()),
        _ => None,
    });
    pieces.collect()
}

fn bounded(word: &Word, pattern: Pattern) -> Result<Pattern, QueryError> {
    if pattern.pieces.len() > MAX_PIECES {
        let found = format!("found a value with {} stretches between its `*`", pattern.pieces.len());
        return Err(QueryError::new(word.span, found).expected(format!("at most {MAX_PIECES}")));
    }
    if pattern.n_bytes() > MAX_PATTERN_BYTES {
        let found = format!("found a value of {} bytes", pattern.n_bytes());
        return Err(QueryError::new(word.span, found)
            .expected(format!("at most {MAX_PATTERN_BYTES}, as the kernel compares no more")));
    }
    Ok(pattern)
}
