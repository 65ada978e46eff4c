#!/bin/bash
# Builds the sensor as it is shipped to any host, statically linked, and the guest that tries it in virtual machines.
# They end up in target/static/x86_64-unknown-linux-gnu/bench; nothing else is built there, so that all of it stays built.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$HOME/.cargo/bin:$PATH" CARGO_TERM_PROGRESS_WHEN=never CARGO_INCREMENTAL=0
# What is named here is for the target alone: build scripts and macros cannot be linked statically.
target=$(rustc -vV | sed -n 's/^host: //p')
variable=CARGO_TARGET_$(tr a-z- A-Z_ <<<"$target")_RUSTFLAGS
export "$variable=-C target-feature=+crt-static"
export CARGO_PROFILE_BENCH_DEBUG=false CARGO_PROFILE_BENCH_STRIP=symbols
cargo build --locked --quiet --profile bench --target "$target" --target-dir target/static -p vedette-sensor -p guest >&2
echo "target/static/$target/release"
