#!/bin/bash
# Runs the test suites (all, or those named), prints how long each took, and sums up what passed, failed and was skipped.
#
# A test that cannot run on this machine prints "SKIPPED name: reason" on standard error, past the test harness. Here those
# lines are counted and shown again; in CI (CI=true) they fail the run unless setup/may-skip lists the name.
set -uo pipefail
cd "$(dirname "$0")/.."
export PATH="$HOME/.cargo/bin:$PATH" CARGO_TERM_PROGRESS_WHEN=never CARGO_INCREMENTAL=0
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

suite_format() { cargo fmt --all --check; }
suite_lint()   { cargo clippy --workspace --all-targets --all-features --locked --quiet -- -D warnings; }
suite_tidy()   { cargo test --locked --quiet --no-fail-fast -p tests --test tidy; }
suite_wire()   { cargo test --locked --quiet --no-fail-fast -p wire --all-features; }
suite_sensor() { cargo test --locked --quiet --no-fail-fast -p sensor-bpf -p vedette-sensor; }
suite_collector() { cargo test --locked --quiet --no-fail-fast -p vedette-collector; }
suite_system() { cargo build --locked --quiet -p vedette-collector -p vedette-sensor && cargo test --locked --quiet --no-fail-fast -p tests -p guest; }
suite_kernels() { cargo test --locked --quiet --no-fail-fast -p tests -p guest --features tests/kernels --test kernels; }

suite_packages() { cargo build --locked --quiet -p vedette-collector -p vedette-sensor && cargo test --locked --quiet --no-fail-fast -p tests -p guest --features tests/packages --test packages; }

all=(format lint tidy wire sensor collector system kernels packages)
[ $# -gt 0 ] && all=("$@")

passed=0 failed=0 skipped=0 broken=()
declare -a times
for suite in "${all[@]}"; do
    echo "== $suite"
    start=$SECONDS
    "suite_$suite" 2>&1 | tee "$logs/$suite"
    ok=${PIPESTATUS[0]}
    times+=("$(printf '%-10s %4d s   %s' "$suite" $((SECONDS - start)) "$([ "$ok" -eq 0 ] && echo ok || echo FAILED)")")
    read -r p f < <(awk '/^test result:/ {for (i = 1; i < NF; i++) {if ($(i+1) ~ /^passed/) p += $i; if ($(i+1) ~ /^failed/) f += $i}} END {print p + 0, f + 0}' "$logs/$suite")
    passed=$((passed + p)) failed=$((failed + f))
    if [ "$ok" -ne 0 ]; then
        broken+=("$suite")
        [ "$f" -eq 0 ] && failed=$((failed + 1))
    elif [ "$p" -eq 0 ]; then
        passed=$((passed + 1))
    fi
done

echo
echo "suite       time"
printf '%s\n' "${times[@]}"
skips=$(cat "$logs"/* | grep -a '^SKIPPED ' | sort -u)
if [ -n "$skips" ]; then
    skipped=$(wc -l <<<"$skips")
    printf '\nnot run on this machine:\n%s\n' "$skips"
    if [ "${CI:-}" = true ]; then
        while read -r _ name _; do
            grep -qxF "${name%:}" setup/may-skip 2>/dev/null && continue
            echo "CI must run ${name%:}, and it was skipped"
            broken+=("skip:${name%:}")
            failed=$((failed + 1))
        done <<<"$skips"
    fi
fi
again=$(cat "$logs"/* | grep -a '^BOOTED TWICE ')
[ -z "$again" ] || printf '\nmachines that the emulator failed at first:\n%s\n' "$again"
echo
echo "$passed passed, $failed failed, $skipped skipped"
[ ${#broken[@]} -eq 0 ]
