//! How often the kernel's programs run, and how long they take: the kernel counts both while somebody asks for it.

use std::os::fd::OwnedFd;
use std::time::Duration;

use aya::programs::{ProgramError, loaded_programs};
use aya::sys::{Stats, enable_stats};

use super::ProbeError;

/// While it lives the kernel counts (`BPF_ENABLE_STATS`, since 5.8), which costs each run two looks at a clock.
#[derive(Debug)]
pub struct Counting {
    _counts: OwnedFd,
}

/// What was counted of one program since it was loaded: of this sensor's, or of anybody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runs {
    /// The kernel's number of the program; unique within a boot.
    pub id: u32,
    /// Its name, of which the kernel keeps 15 bytes.
    pub name: String,
    /// How often it ran.
    pub n_runs: u64,
    /// How long all of these took, with what programs did that it called or jumped to.
    pub time: Duration,
}

impl Counting {
    /// Has the kernel count.
    ///
    /// # Errors
    /// When the caller may not, or the kernel is older than 5.8.
    pub fn begin() -> Result<Self, ProbeError> {
        let counts =
            enable_stats(Stats::RunTime).map_err(|error| ProbeError::Count { source: error.into() })?;
        Ok(Self { _counts: counts })
    }

    /// What was counted so far of every program that is loaded; a door counts for the program behind it.
    ///
    /// # Errors
    /// When the kernel does not let its programs be listed.
    pub fn runs(&self) -> Result<Vec<Runs>, ProbeError> {
        let told = loaded_programs().filter_map(|found| match found {
            Ok(info) => Some(Ok(Runs {
                id: info.id(),
                name: info.name_as_str().unwrap_or_default().to_owned(),
                n_runs: info.run_count(),
                time: info.run_time(),
            })),
            // It was unloaded between its number and its description.
            Err(ProgramError::SyscallError(error)) if is_gone(&error.io_error) => None,
            Err(error) => Some(Err(ProbeError::Count { source: error })),
        });
        told.collect()
    }
}

fn is_gone(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::NotFound
}
