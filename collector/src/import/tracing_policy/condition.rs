//! Conditions as the text of a query.

use wire::query::{Piece, Span, Word};

/// The field has this value.
pub(super) fn equal(field: &str, value: &str) -> String {
    format!("{field}:{}", word(&[Piece::Bytes(value.into())]))
}

/// The field begins with this.
pub(super) fn begins(field: &str, value: &str) -> String {
    format!("{field}:{}", word(&[Piece::Bytes(value.into()), Piece::Any]))
}

/// The field ends with this.
pub(super) fn ends(field: &str, value: &str) -> String {
    format!("{field}:{}", word(&[Piece::Any, Piece::Bytes(value.into())]))
}

/// A value with its wildcards, as it is written.
fn word(pieces: &[Piece]) -> String {
    let is_empty = |piece: &Piece| matches!(piece, Piece::Bytes(bytes) if bytes.is_empty());
    let pieces = pieces.iter().filter(|piece| !is_empty(piece)).cloned().collect();
    Word { span: Span::default(), pieces, fold: false }.to_string()
}

/// Any of these.
pub(super) fn any(conditions: &[String]) -> String {
    match conditions {
        [one] => one.clone(),
        _ => format!("({})", conditions.join(" or ")),
    }
}

/// None of these.
pub(super) fn none(conditions: &[String]) -> String {
    format!("not {}", any(conditions))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_where_they_must_be() {
        assert_eq!(begins("file.path", "/etc/"), "file.path:/etc/*");
        assert_eq!(equal("file.path", "/a b*"), r#"file.path:"/a b*""#);
        assert_eq!(ends("file.path", ""), "file.path:*");
        assert_eq!(none(&[equal("a", "1"), equal("a", "2")]), "not (a:1 or a:2)");
    }
}
