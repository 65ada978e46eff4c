//! Makes the two built-in dictionaries from the made-up activity of a fleet of many kinds of hosts.
//!
//! `cargo run --release -p wire --features sample --example train_dictionary -- wire/src/batch/dictionary/v2`
//! writes `v2-columns.zdict` and `v2-strings.zdict`.
//!
//! What is trained on is not what benchmarks measure (`wire::sample`): other code makes it, from lists of what runs
//! on Linux hosts of many trades (`daemons.txt`, `jobs.txt`, `files.txt`). Dictionaries that were released must never
//! be made again under their number: give new ones the next number and add them to `wire/src/batch/dictionary.rs`.
#![expect(clippy::print_stdout, clippy::indexing_slicing, reason = "it makes data and tells what it made")]

use fleet::{Activity, Host};
use wire::batch::{Builder, decompressed};

mod fleet;
mod lists;
mod process;
mod random;

const N_HOSTS: u64 = 1_500;
/// Larger ones make batches no smaller.
const DICTIONARY_BYTES: usize = 64 << 10;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("expected the beginning of the names of the files to write")?;
    let lists = lists::Lists::read()?;
    let mut builder = Builder::new();
    let (mut columns, mut strings) = (Samples::default(), Samples::default());
    for seed in 0..N_HOSTS {
        let mut host = Host::new(&lists, seed);
        for (n, n_events) in [3, 8, 20, 14, 30, 60].into_iter().enumerate() {
            // A sensor's lanes: process life; connections; both with files, as more hooks will send.
            let activity = Activity::ALL[(seed as usize + n) % Activity::ALL.len()];
            let sealed = host.batch(&mut builder, activity, n_events);
            let (of_columns, of_strings) = decompressed(&sealed)?;
            columns.add(&of_columns);
            strings.add(&of_strings);
        }
    }
    for (name, samples) in [("columns", columns), ("strings", strings)] {
        let mut dictionary = Vec::with_capacity(DICTIONARY_BYTES);
        zstd::zstd_safe::train_from_buffer(&mut dictionary, &samples.bytes, &samples.sizes)
            .map_err(zstd::zstd_safe::get_error_name)?;
        let path = format!("{path}-{name}.zdict");
        std::fs::write(&path, &dictionary)?;
        let (n, n_bytes) = (samples.sizes.len(), samples.bytes.len());
        println!("{path}: {} bytes from {n} batches of {n_bytes} bytes", dictionary.len());
    }
    Ok(())
}

#[derive(Default)]
struct Samples {
    bytes: Vec<u8>,
    sizes: Vec<usize>,
}

impl Samples {
    fn add(&mut self, sample: &[u8]) {
        self.bytes.extend_from_slice(sample);
        self.sizes.push(sample.len());
    }
}
