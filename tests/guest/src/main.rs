//! The program of this crate; see its library.

use std::process::ExitCode;

fn main() -> ExitCode {
    let words =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>();
    match guest::main(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vedette-guest: {error:#}");
            ExitCode::FAILURE
        }
    }
}
