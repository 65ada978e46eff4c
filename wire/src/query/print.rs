//! A query as text again, in one spelling.

use std::fmt::{self, Display, Formatter, Write};

use super::{Node, Piece, Term, Tree, Word};

impl<L: Display> Display for Node<L> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.tree {
            Tree::And(nodes) => joined(f, nodes, " and ", |tree| matches!(tree, Tree::And(_) | Tree::Or(_))),
            Tree::Or(nodes) => joined(f, nodes, " or ", |tree| matches!(tree, Tree::Or(_))),
            Tree::Not(node) => {
                f.write_str("not ")?;
                joined(f, std::slice::from_ref(&**node), "", |tree| {
                    matches!(tree, Tree::And(_) | Tree::Or(_))
                })
            }
            Tree::Leaf(leaf) => leaf.fmt(f),
        }
    }
}

fn joined<L: Display>(
    f: &mut Formatter<'_>,
    nodes: &[Node<L>],
    separator: &str,
    needs_parentheses: fn(&Tree<L>) -> bool,
) -> fmt::Result {
    for (n, node) in nodes.iter().enumerate() {
        if n > 0 {
            f.write_str(separator)?;
        }
        if needs_parentheses(&node.tree) {
            write!(f, "({node})")?;
        } else {
            node.fmt(f)?;
        }
    }
    Ok(())
}

impl Display for Term {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Term::Bare(word) => word.fmt(f),
            Term::Has { field, values } => match &values.tree {
                Tree::Leaf(word) => write!(f, "{}:{word}", field.field),
                _ => write!(f, "{}:({values})", field.field),
            },
            Term::Compare { field, comparison, value } => {
                write!(f, "{} {} {value}", field.field, comparison.symbol())
            }
        }
    }
}

impl Display for Word {
    /// Bare where every character is harmless anywhere, else quoted piece by piece.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let bare = !self.fold
            && !self.pieces.is_empty()
            && self.pieces.iter().all(|piece| match piece {
                Piece::Bytes(bytes) => bytes.iter().all(|b| harmless(*b)) && !keyword(bytes),
                Piece::Any | Piece::One => true,
            });
        if self.pieces.is_empty() {
            return f.write_str("\"\"");
        }
        for piece in &self.pieces {
            match piece {
                Piece::Any => f.write_char('*')?,
                Piece::One => f.write_char('?')?,
                Piece::Bytes(bytes) if bare => f.write_str(&String::from_utf8_lossy(bytes))?,
                Piece::Bytes(bytes) => quoted(f, bytes, self.fold)?,
            }
        }
        Ok(())
    }
}

fn harmless(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-./@+,%".contains(&byte)
}

fn keyword(bytes: &[u8]) -> bool {
    [&b"and"[..], b"or", b"not"].iter().any(|word| bytes.eq_ignore_ascii_case(word))
}

fn quoted(f: &mut Formatter<'_>, bytes: &[u8], fold: bool) -> fmt::Result {
    f.write_char('"')?;
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                c if c.is_ascii_control() => write!(f, "\\x{:02x}", c as u32)?,
                c => f.write_char(c)?,
            }
        }
        for byte in chunk.invalid() {
            write!(f, "\\x{byte:02x}")?;
        }
    }
    f.write_str(if fold { "\"i" } else { "\"" })
}
