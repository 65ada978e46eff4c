//! The kernel matrix: the sensor that is shipped, in virtual machines on other kernels and on this machine's own, before
//! a table of scenarios. `docs/kernels.md` tells what was seen; UPDATE_DOCS=1 writes it anew.
//!
//! | module | holds |
//! |---|---|
//! | `matrix` | which columns there are, and what each told |
//! | `kernel` | the kernels that can be had, from `setup/kernels.sh` |
//! | `told` | what a column's guest wrote |
//! | `machine` | one boot of a virtual machine |
//! | `initramfs` | what it boots into |
//! | `host` | the same on this machine's own kernel |
//! | `page`, `table` | `docs/kernels.md`: what it says, and how it is written and read |
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};

use guest::report::Verdict;
use tests::skip::skip;

mod host;
mod initramfs;
mod kernel;
mod machine;
mod matrix;
mod page;
mod table;
mod told;

use matrix::{Matrix, Outcome};

/// All of the matrix, run once for all tests; none where it cannot run at all.
fn matrix(test: &str) -> Option<&'static Matrix> {
    static MATRIX: std::sync::LazyLock<Result<Matrix, String>> = std::sync::LazyLock::new(Matrix::run);
    match &*MATRIX {
        Ok(matrix) => Some(matrix),
        Err(why) => {
            skip(test, why);
            None
        }
    }
}

#[test]
fn every_scenario_ends_as_it_should_on_every_kernel() {
    let Some(matrix) = matrix("every_scenario_ends_as_it_should_on_every_kernel") else { return };
    let mut failed = Vec::new();
    for column in &matrix.columns {
        if let Outcome::Failed(why) = &column.outcome {
            failed.push(format!("{}: {why}", column.title));
        }
        for played in column.told().into_iter().flat_map(|told| &told.played) {
            if let Verdict::Failed { why } = &played.verdict {
                failed.push(format!("{}: {} / {}: {why}", column.title, played.category, played.name));
            }
        }
    }
    assert!(failed.is_empty(), "{} failed:\n\n{}", failed.len(), failed.join("\n\n"));
}

#[test]
fn every_kernel_is_the_one_that_was_asked_for() {
    let Some(matrix) = matrix("every_kernel_is_the_one_that_was_asked_for") else { return };
    for column in &matrix.columns {
        let Some(told) = column.told() else { continue };
        let name =
            column.title.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        let version = name.unwrap().trim_end_matches(".x");
        let rest = told
            .release
            .strip_prefix(version)
            .unwrap_or_else(|| panic!("{}: {}", column.title, told.release));
        assert!(!rest.starts_with(|c: char| c.is_ascii_digit()), "{}: {}", column.title, told.release);
        if let Some(lsm) = column.lsm {
            assert_eq!(told.lsm.iter().any(|name| name == "bpf"), lsm, "{}: {:?}", column.title, told.lsm);
        }
    }
}

#[test]
fn every_hook_that_a_kernel_takes_is_attached() {
    let Some(matrix) = matrix("every_hook_that_a_kernel_takes_is_attached") else { return };
    for column in &matrix.columns {
        let Some(told) = column.told() else { continue };
        let missing: Vec<_> =
            told.sights.iter().filter(|sight| sight.required && sight.way.is_empty()).collect();
        assert!(missing.is_empty(), "{}: {missing:?}", column.title);
        let mut programs: Vec<_> = told.sights.iter().flat_map(|sight| &sight.programs).collect();
        programs.sort();
        programs.dedup();
        assert_eq!(told.attached.iter().collect::<Vec<_>>(), programs, "{}: {:?}", column.title, told.sights);
    }
}

/// Where programs cannot follow the kernel's functions there is only what system calls return, on old kernels too: none of
/// those that are tried is such a kernel but this machine's own.
#[test]
fn every_kernel_takes_the_programs_of_the_last_way() {
    let Some(matrix) = matrix("every_kernel_takes_the_programs_of_the_last_way") else { return };
    for column in &matrix.columns {
        let Some(told) = column.told() else { continue };
        let refused: Vec<_> =
            told.sights.iter().filter(|sight| sight.spare.contains("tp_btf/sys_exit")).collect();
        assert!(refused.is_empty(), "{}: {refused:?}", column.title);
    }
}

/// The way of every sight and the outcome of every scenario, for each kernel, stand in the page.
#[test]
fn the_page_tells_what_was_seen() {
    let Some(matrix) = matrix("the_page_tells_what_was_seen") else { return };
    let path = root().join(page::path());
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let update = std::env::var_os("UPDATE_DOCS").is_some();
    let fresh = page::write(&written, matrix, update);
    if update {
        std::fs::write(&path, fresh).unwrap();
        return;
    }
    let differing = fresh.lines().filter(|line| !written.lines().any(|old| old == *line));
    assert!(
        fresh == written,
        "{} is not what was seen; read the difference, then run again with UPDATE_DOCS=1:\n{}",
        path.display(),
        differing.collect::<Vec<_>>().join("\n")
    );
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
