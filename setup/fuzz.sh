#!/bin/bash
# Fuzzes what takes bytes from elsewhere, each target (or those named) for SECONDS_EACH seconds (default 300), guided by what each input
# reaches, and adds what is worth it to the corpus that the tests run. An input that does harm stays in target/fuzz/TARGET as crash-*,
# oom-* or timeout-*.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$HOME/.cargo/bin:$PATH" CARGO_TERM_PROGRESS_WHEN=never
work=target/fuzz
# The most inputs that a corpus is given, the smallest ones.
most=350
declare -A corpora=(
    [records]=sensor/tests/hostile/corpus
    [frames]=wire/tests/fuzzed/corpus/frames
    [batches]=wire/tests/fuzzed/corpus/batches
    [queries]=wire/tests/fuzzed/corpus/queries
    [certificates]=collector/tests/fuzzed/corpus
    [spool]=sensor/tests/spooled/corpus
)
declare -A crates=([records]=sensor [spool]=sensor [certificates]=collector)
all=(records frames batches queries certificates spool)
[ $# -gt 0 ] && all=("$@")
trap 'rm -rf /dev/shm/vedette-spooled-*' EXIT

# Records as this machine's kernel makes them are what it begins with, where there may be a sensor.
mkdir -p "$work/records/seeds"
if [[ " ${all[*]} " == *" records "* && $(id -u) -eq 0 && -z "$(ls -A "$work/records/seeds")" ]]; then
    VEDETTE_RECORDS=$PWD/$work/records/seeds cargo test --locked --quiet -p vedette-sensor --test kernel >"$work/kernel.log" 2>&1 ||
        echo "fuzz: not all tests of the kernel passed, see $work/kernel.log"
fi

# As cargo-fuzz builds, without a nightly compiler: counters of what is reached, no sanitizer.
flags="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing"
# Named, so that build scripts are built without them.
bins=$(printf -- '--bin %s ' "${all[@]}")
for target in "${all[@]}"; do
    [ -z "${crates[$target]:-}" ] || bins+="--features ${crates[$target]} "
done
# shellcheck disable=SC2086
RUSTFLAGS=$(tr -s ' \n' ' ' <<<"$flags") cargo build --quiet --release --manifest-path tests/fuzz/Cargo.toml $bins \
    --target "$(rustc -vV | sed -n 's/^host: //p')" --target-dir "$work/build"

for target in "${all[@]}"; do
    corpus=${corpora[$target]} here=$work/$target
    program=$(find "$work/build" -path "*/release/$target" -type f | head -n 1)
    mkdir -p "$here"/{seeds,found}
    "$program" "$here/found" "$corpus" "$here/seeds" -artifact_prefix="$here/" -max_total_time="${SECONDS_EACH:-300}" -max_len=20000 \
        -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 2>&1 | tail -n 20
    before=$(find "$corpus" -type f | wc -l)
    # A smallest set of small ones that together reach everything.
    mkdir -p "$here"/{small,merged}
    rm -f "$here"/{small,merged}/*
    find "$corpus" "$here/found" "$here/seeds" -type f -size -3 -exec cp -t "$here/small" {} +
    "$program" -set_cover_merge=1 "$here/merged" "$here/small" >"$here/merge.log" 2>&1
    # What was written by hand stays: it says what it is for.
    find "$corpus" -type f -not -name 'seed-*' -delete
    find "$here/merged" -type f -printf '%s %p\n' | sort -n | head -n "$most" | cut -d' ' -f2- | xargs -r cp -n -t "$corpus"/
    echo "fuzz: the corpus of $target had $before inputs and has $(find "$corpus" -type f | wc -l), $(du -sb "$corpus" | cut -f1) bytes"
done
