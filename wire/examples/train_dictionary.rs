//! Makes a built-in dictionary from generated host activity.
//!
//! `cargo run --release -p wire --example train_dictionary -- wire/src/batch/dictionary/v2.zdict`
//!
//! A dictionary that was released must never be made again under its number: give a new one the next
//! number and add it to `wire/src/batch/dictionary.rs`.

use wire::batch::{Builder, decompressed};
use wire::sample::{Host, Mix};

const N_HOSTS: u64 = 600;
const DICTIONARY_BYTES: usize = 64 << 10;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("expected the path of the file to write")?;
    let mut builder = Builder::new();
    let (mut bytes, mut sizes) = (Vec::new(), Vec::new());
    for seed in 0..N_HOSTS {
        let mix = if seed % 3 == 0 { Mix::PROCESSES } else { Mix::BENCHMARK };
        // Seeds far from those of benchmarks and tests, which must not be measured on what was trained.
        let mut host = Host::new(1_000_000 + seed, mix);
        for n_events in [3, 8, 20, 20, 40, 80] {
            let raw = decompressed(&host.batch(&mut builder, n_events))?;
            sizes.push(raw.len());
            bytes.extend_from_slice(&raw);
        }
    }
    let mut dictionary = Vec::with_capacity(DICTIONARY_BYTES);
    zstd::zstd_safe::train_from_buffer(&mut dictionary, &bytes, &sizes)
        .map_err(zstd::zstd_safe::get_error_name)?;
    std::fs::write(&path, &dictionary)?;
    println!("{path}: {} bytes from {} batches of {} bytes", dictionary.len(), sizes.len(), bytes.len());
    Ok(())
}
