#!/bin/bash
# Runs the benchmarks (all, or those named), each a program that prints its whole table; a baseline is in the same run.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$HOME/.cargo/bin:$PATH" CARGO_TERM_PROGRESS_WHEN=never

bench_codec()  { cargo bench --locked --quiet -p wire --features sample --bench codec; }
bench_ingest() { cargo bench --locked --quiet -p vedette-collector --bench ingest; }
bench_search() { cargo bench --locked --quiet -p vedette-collector --bench search; }
bench_host()   {
    cargo build --locked --quiet --release -p vedette-collector -p vedette-sensor
    cargo bench --locked --quiet -p tests --bench host
}

names=("$@")
[ ${#names[@]} -gt 0 ] || names=(codec ingest search host)

echo "machine: $(nproc) cores, $(awk '/MemTotal/ {printf "%.0f GiB", $2 / 1048576}' /proc/meminfo), Linux $(uname -r), $(date -u +%F)"
for name in "${names[@]}"; do
    printf '\n== %s\n' "$name"
    "bench_$name"
done
