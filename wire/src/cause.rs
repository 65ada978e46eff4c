//! An error with what caused it.

use std::error::Error;

/// The error and its causes, the outermost first, in one line: for the place where it is handled.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let links = std::iter::successors(Some(error), |&error| error.source());
    links.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read the file")]
    struct Outer(#[source] std::num::ParseIntError);

    #[test]
    fn causes_follow_the_error() {
        let inner = "x".parse::<u8>().expect_err("x is no number");
        assert_eq!(chain(&inner), "invalid digit found in string");
        assert_eq!(chain(&Outer(inner)), "cannot read the file: invalid digit found in string");
    }
}
