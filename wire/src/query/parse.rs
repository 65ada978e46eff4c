//! Tokens to a tree, by recursive descent: `or` binds loosest, then `and`, then `not`.

use super::scan::{Position, Scanner, Token, TokenKind};
use super::suggest;
use super::{Named, Node, Query, QueryError, Span, Term, Tree, Word};
use crate::field::Field;
use crate::limits::{MAX_QUERY_BYTES, MAX_QUERY_DEPTH, MAX_QUERY_TERMS};

pub(super) fn parse(text: &str) -> Result<Query, QueryError> {
    if text.len() > MAX_QUERY_BYTES {
        return Err(QueryError::new(Span::new(0, 0), format!("the query is {} bytes long", text.len()))
            .expected(format!("at most {MAX_QUERY_BYTES} bytes")));
    }
    let mut parser = Parser { scanner: Scanner::new(text), depth: 0, n_terms: 0 };
    parser.query().map_err(|error| error.at_column_of(text))
}

struct Parser<'a> {
    scanner: Scanner<'a>,
    depth: usize,
    n_terms: usize,
}

/// Reads one leaf of the tree, from its first token on.
type ReadLeaf<'a, L> = fn(&mut Parser<'a>, Token) -> Result<Node<L>, QueryError>;

impl<'a> Parser<'a> {
    fn query(&mut self) -> Result<Query, QueryError> {
        if let TokenKind::End = self.scanner.peek(Position::Term)?.kind {
            return Ok(Query { root: None });
        }
        let root = self.any_of(Position::Term, Self::term)?;
        let token = self.scanner.peek(Position::Term)?;
        match token.kind {
            TokenKind::End => Ok(Query { root: Some(root) }),
            TokenKind::Close => Err(QueryError::new(token.span, "`)` without an opening `(`")),
            _ => Err(self.not_joined(&token, root.span)),
        }
    }

    fn any_of<L>(&mut self, position: Position, leaf: ReadLeaf<'a, L>) -> Result<Node<L>, QueryError> {
        let mut nodes = vec![self.all_of(position, leaf)?];
        loop {
            let token = self.scanner.peek(position)?;
            let TokenKind::Or = token.kind else { return Ok(join(nodes, Tree::Or)) };
            self.scanner.advance(&token);
            nodes.push(self.all_of(position, leaf)?);
        }
    }

    fn all_of<L>(&mut self, position: Position, leaf: ReadLeaf<'a, L>) -> Result<Node<L>, QueryError> {
        let mut nodes = vec![self.unary(position, leaf)?];
        loop {
            let token = self.scanner.peek(position)?;
            let TokenKind::And = token.kind else { return Ok(join(nodes, Tree::And)) };
            self.scanner.advance(&token);
            nodes.push(self.unary(position, leaf)?);
        }
    }

    fn unary<L>(&mut self, position: Position, leaf: ReadLeaf<'a, L>) -> Result<Node<L>, QueryError> {
        let token = self.scanner.peek(position)?;
        match token.kind {
            TokenKind::Not => {
                self.scanner.advance(&token);
                self.deeper(token.span)?;
                let inner = self.unary(position, leaf)?;
                self.depth -= 1;
                Ok(Node { span: token.span.to(inner.span), tree: Tree::Not(Box::new(inner)) })
            }
            TokenKind::Open => {
                self.scanner.advance(&token);
                self.deeper(token.span)?;
                let inner = self.any_of(position, leaf)?;
                let close = self.scanner.peek(position)?;
                match close.kind {
                    TokenKind::Close => self.scanner.advance(&close),
                    TokenKind::End => {
                        return Err(QueryError::new(token.span, "`(` is never closed").expected("a `)`"));
                    }
                    _ => return Err(self.not_joined(&close, inner.span)),
                }
                self.depth -= 1;
                Ok(Node { span: token.span.to(close.span), tree: inner.tree })
            }
            _ => leaf(self, token),
        }
    }

    fn deeper(&mut self, span: Span) -> Result<(), QueryError> {
        self.depth += 1;
        if self.depth > MAX_QUERY_DEPTH {
            let found = format!("more than {MAX_QUERY_DEPTH} parentheses and `not`s within one another");
            return Err(QueryError::new(span, found).expected("fewer"));
        }
        Ok(())
    }

    fn count(&mut self, span: Span) -> Result<(), QueryError> {
        self.n_terms += 1;
        if self.n_terms > MAX_QUERY_TERMS {
            return Err(QueryError::new(span, format!("more than {MAX_QUERY_TERMS} values"))
                .expected("fewer; split the query"));
        }
        Ok(())
    }

    /// A term, from its first token on.
    fn term(&mut self, first: Token) -> Result<Node<Term>, QueryError> {
        let TokenKind::Word { word, plain } = first.kind else {
            return Err(self.unexpected(&first, "a field with a value, or a word to look for"));
        };
        self.scanner.advance(&Token { span: first.span, kind: TokenKind::End });
        let next = self.scanner.peek(Position::Term)?;
        match next.kind {
            TokenKind::Colon => {
                let field = self.field(first.span, plain)?;
                self.scanner.advance(&next);
                let values = self.values(field)?;
                let span = first.span.to(values.span);
                Ok(Node { span, tree: Tree::Leaf(Term::Has { field, values }) })
            }
            TokenKind::Comparison(comparison) => {
                let field = self.field(first.span, plain)?;
                self.scanner.advance(&next);
                let token = self.scanner.peek(Position::Value)?;
                let value = self.value(token)?;
                let (Tree::Leaf(value), span) = (value.tree, first.span.to(value.span)) else {
                    return Err(
                        QueryError::new(next.span, "a comparison with several values").expected("one value")
                    );
                };
                Ok(Node { span, tree: Tree::Leaf(Term::Compare { field, comparison, value }) })
            }
            _ => {
                self.count(first.span)?;
                if let Some(error) = suggest::other_language(self.scanner.slice(first.span), first.span) {
                    return Err(error);
                }
                Ok(Node { span: first.span, tree: Tree::Leaf(Term::Bare(word)) })
            }
        }
    }

    fn field(&self, span: Span, plain: bool) -> Result<Named, QueryError> {
        let name = self.scanner.slice(span);
        if !plain {
            return Err(QueryError::new(span, format!("found `{}` before `:` or a comparison", shown(name)))
                .expected("the plain name of a field (to look for a text with `:` in it, quote all of it)"));
        }
        match Field::from_name(name) {
            Some(field) => Ok(Named { field, span }),
            None => Err(QueryError::new(span, format!("unknown field `{}`", shown(name)))
                .expected("the name of a field (to look for a text with `:` in it, quote all of it)")
                .suggestion(suggest::nearest(name).map(|field| format!("`{field}`")))),
        }
    }

    /// What follows `field:`: one value, or a list in parentheses.
    fn values(&mut self, field: Named) -> Result<Node<Word>, QueryError> {
        let token = self.scanner.peek(Position::Value)?;
        match token.kind {
            TokenKind::Open => self.unary(Position::Value, Self::value),
            TokenKind::Comparison(comparison) => {
                Err(QueryError::new(token.span, format!("found `{}` after `:`", comparison.symbol()))
                    .expected("a value; a comparison takes the place of `:`")
                    .suggestion(Some(format!("`{} {} …`", field.field, comparison.symbol()))))
            }
            _ => self.value(token),
        }
    }

    /// One value, which is this token.
    fn value(&mut self, token: Token) -> Result<Node<Word>, QueryError> {
        let TokenKind::Word { word, .. } = token.kind else {
            return Err(self.unexpected(&token, "a value (quote it if it is a word of the language)"));
        };
        self.scanner.advance(&Token { span: token.span, kind: TokenKind::End });
        self.count(token.span)?;
        Ok(Node { span: token.span, tree: Tree::Leaf(word) })
    }

    fn unexpected(&self, token: &Token, expected: &str) -> QueryError {
        let found = match token.kind {
            TokenKind::End => "the query ends here".to_owned(),
            _ => format!("found `{}`", shown(self.scanner.slice(token.span))),
        };
        QueryError::new(token.span, found).expected(expected)
    }

    /// Two terms side by side.
    fn not_joined(&self, token: &Token, before: Span) -> QueryError {
        let (left, right) = (self.scanner.slice(before), self.scanner.slice(token.span));
        if let Some(error) = suggest::other_language(right, token.span) {
            return error;
        }
        let brief = left.len() + right.len() <= 60 && matches!(token.kind, TokenKind::Word { .. });
        QueryError::new(token.span, format!("found `{}` after a complete term", shown(right)))
            .expected("`and`, `or` or the end")
            .suggestion(brief.then(|| format!("`{left} and {right}`")))
    }
}

fn join<L>(mut nodes: Vec<Node<L>>, tree: fn(Vec<Node<L>>) -> Tree<L>) -> Node<L> {
    match (nodes.len(), nodes.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            nodes.extend(last);
            let span = |node: Option<&Node<L>>| node.map(|node| node.span).unwrap_or_default();
            Node { span: span(nodes.first()).to(span(nodes.last())), tree: tree(nodes) }
        }
    }
}

/// A piece of the text fit for a message: short, without control characters.
fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(40).flat_map(char::escape_debug).collect();
    if text.chars().nth(40).is_some() {
        shown.push('…');
    }
    shown
}
