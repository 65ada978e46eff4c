#!/bin/bash
# Runs the benchmarks (all, or those named), each a program that prints its whole table; a baseline is in the same run.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$HOME/.cargo/bin:$PATH" CARGO_TERM_PROGRESS_WHEN=never

bench_codec()  { cargo bench --locked --quiet -p wire --features sample --bench codec; }
bench_ingest() { cargo bench --locked --quiet -p vedette-collector --bench ingest; }
bench_export() { cargo bench --locked --quiet -p vedette-collector --bench export; }
bench_search() { cargo bench --locked --quiet -p vedette-collector --bench search; }
bench_export_map() { cargo bench --locked --quiet -p vedette-collector --bench export_map; }
bench_host()   {
    programs
    cargo bench --locked --quiet -p tests --features sample --bench host
}

bench_cost() {
    programs
    cargo bench --locked --quiet -p tests --features sample --bench cost
}

bench_uplink() {
    programs
    cargo bench --locked --quiet -p tests --features sample --bench uplink
}

bench_recovery() {
    programs
    cargo bench --locked --quiet -p tests --features sample --bench recovery
}

# The programs themselves, as benchmarks are built: without LTO, and together with the tests, so that all is built once.
programs() { cargo build --locked --quiet --profile bench -p vedette-collector -p vedette-sensor -p tests --features tests/sample; }

names=("$@")
[ ${#names[@]} -gt 0 ] || names=(codec ingest export uplink recovery search export-map host cost)

echo "machine: $(nproc) cores, $(awk '/MemTotal/ {printf "%.0f GiB", $2 / 1048576}' /proc/meminfo), Linux $(uname -r), $(date -u +%F)"
for name in "${names[@]}"; do
    printf '\n== %s\n' "$name"
    "bench_${name//-/_}"
done
