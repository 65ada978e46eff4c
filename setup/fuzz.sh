#!/bin/bash
# Fuzzes what takes the kernel's records for SECONDS_EACH seconds (default 300), guided by what each input reaches, and adds what is worth
# it to the corpus that the tests run. An input that does harm stays in target/fuzz as crash-*, oom-* or timeout-*.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$HOME/.cargo/bin:$PATH" CARGO_TERM_PROGRESS_WHEN=never
corpus=sensor/tests/hostile/corpus
work=target/fuzz
mkdir -p "$work"/{seeds,found}

# Records as this machine's kernel makes them are what it begins with, where there may be a sensor.
if [ "$(id -u)" -eq 0 ] && [ -z "$(ls -A "$work/seeds")" ]; then
    VEDETTE_RECORDS=$PWD/$work/seeds cargo test --locked --quiet -p vedette-sensor --test kernel >"$work/kernel.log" 2>&1 ||
        echo "fuzz: not all tests of the kernel passed, see $work/kernel.log"
fi

# As cargo-fuzz builds, without a nightly compiler: counters of what is reached, no sanitizer.
flags="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing"
# Named, so that build scripts are built without them.
RUSTFLAGS=$(tr -s ' \n' ' ' <<<"$flags") cargo build --quiet --release --manifest-path tests/fuzz/Cargo.toml \
    --target "$(rustc -vV | sed -n 's/^host: //p')" --target-dir "$work/build"
program=$(find "$work/build" -path '*/release/records' -type f | head -n 1)

"$program" "$work/found" "$corpus" "$work/seeds" -artifact_prefix="$work/" -max_total_time="${SECONDS_EACH:-300}" -max_len=20000 \
    -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 2>&1 | tail -n 20
before=$(find "$corpus" -type f | wc -l)
# A smallest set of small ones that together reach everything.
mkdir -p "$work"/{small,merged}
rm -f "$work"/{small,merged}/*
find "$corpus" "$work/found" "$work/seeds" -type f -size -3 -exec cp -t "$work/small" {} +
"$program" -set_cover_merge=1 "$work/merged" "$work/small" >"$work/merge.log" 2>&1
rm -f "$corpus"/*
cp "$work/merged"/* "$corpus"/
echo "fuzz: the corpus had $before inputs and has $(find "$corpus" -type f | wc -l), $(du -sb "$corpus" | cut -f1) bytes"
