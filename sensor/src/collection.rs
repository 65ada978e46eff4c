//! The file that says which events are shipped.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::plan::{Collection, CollectionError, MAX_BYTES};

/// Why a collection cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read the collection {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is too much.
    #[error("cannot use the collection {}", .path.display())]
    Much {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: CollectionError,
    },
    /// Some of its lines are refused, and less than was asked for is not shipped instead.
    #[error(
        "line {line} of the collection {} is refused, the first of {n_refused}: {refusal}; `vedette-sensor check --collection FILE` tells of all",
        .path.display()
    )]
    Refused {
        /// The file.
        path: PathBuf,
        /// The first of them.
        line: usize,
        /// How many are refused.
        n_refused: usize,
        /// Why that one is.
        refusal: String,
    },
}

/// Reads a collection, lines that are refused included; without a file the built-in one.
///
/// # Errors
/// When the file cannot be read or holds too much.
pub fn read(path: Option<&Path>) -> Result<Cow<'static, Collection>, FileError> {
    let Some(path) = path else { return Ok(Cow::Borrowed(Collection::built_in())) };
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes));
    read.map_err(|source| FileError::Read { path: path.to_owned(), source })?;
    let collection =
        Collection::read(&bytes).map_err(|source| FileError::Much { path: path.to_owned(), source })?;
    Ok(Cow::Owned(collection))
}

/// Reads a collection to be used.
///
/// # Errors
/// When the file cannot be read or holds too much, or a line of it is refused.
pub fn load(path: Option<&Path>) -> Result<Cow<'static, Collection>, FileError> {
    let collection = read(path)?;
    if let (Some(path), Some((line, refusal))) = (path, collection.refusals().next()) {
        return Err(FileError::Refused {
            path: path.to_owned(),
            line: line.number,
            n_refused: collection.refusals().count(),
            refusal: refusal.to_string(),
        });
    }
    Ok(collection)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, text).unwrap();
        file
    }

    #[test]
    fn the_file_decides_and_without_one_the_built_in() {
        let one = file("event.action:open and file.path:/etc/shadow");
        assert_eq!(load(Some(one.path())).unwrap().tables().n_rows, 1);
        assert_eq!(load(None).unwrap().digest(), Collection::built_in().digest());
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named() {
        let cases = [
            (Path::new("/no/such/file").to_owned(), "cannot read the collection /no/such/file"),
            ("/dev/zero".into(), "more than 1048576 bytes"),
            (
                file("# x\nfile.path:/tmp/?\nfile.path:x?").into_temp_path().keep().unwrap(),
                "line 2 of the collection",
            ),
        ];
        for (path, expected) in cases {
            let error = wire::cause::chain(&load(Some(&path)).unwrap_err());
            assert!(error.contains(expected) && error.contains(&*path.to_string_lossy()), "{error}");
            if path.starts_with(std::env::temp_dir()) {
                assert!(error.contains("is refused, the first of 2: column 11"), "{error}");
                std::fs::remove_file(path).unwrap();
            }
        }
    }
}
