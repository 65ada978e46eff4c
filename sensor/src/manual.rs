//! Man pages and shell completions of a program, from the definitions of its command line.

use std::io;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::Shell;

/// The man pages could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write man pages into {}", folder.display())]
pub struct PagesError {
    folder: PathBuf,
    #[source]
    source: io::Error,
}

/// Prints what a shell reads to complete the program's words.
pub fn completions(mut command: Command, shell: Shell) {
    let name = command.get_name().to_owned();
    clap_complete::generate(shell, &mut command, name, &mut io::stdout());
}

/// Writes a page for the program and one for each of its commands into a folder that is there.
///
/// # Errors
/// When the folder is not there or cannot be written.
pub fn pages(command: Command, folder: &Path) -> Result<(), PagesError> {
    clap_mangen::generate_to(command, folder)
        .map_err(|source| PagesError { folder: folder.to_owned(), source })
}
