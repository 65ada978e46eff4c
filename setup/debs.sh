#!/bin/bash
# Makes the Debian packages of the programs that were built into target/release, or with `dev` of those in target/debug (for
# tests), into target/debian or the folder $2. VERSION gives them another version than the workspace's.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$HOME/.cargo/bin:$PATH" CARGO_TERM_PROGRESS_WHEN=never
profile=${1:-release} to=${2:-target/debian}
setup/cargo-deb.sh

case $profile in
    release) from=target/release how=() ;;
    dev) from=target/debug how=(--profile dev --strip --compress-type xz --fast) ;;
    *) echo "debs: unknown profile $profile, expected release or dev" >&2; exit 2 ;;
esac

# What the programs write of themselves.
for program in vedette vedette-collector vedette-sensor; do
    staged=target/packaging/$program
    rm -rf "$staged"
    mkdir -p "$staged/man"
    "$from/$program" man "$staged/man"
    for shell in bash zsh fish; do
        "$from/$program" completions "$shell" >"$staged/$shell"
    done
done

mkdir -p "$to"
deb() {
    cargo deb --locked --no-build --quiet "${how[@]}" ${VERSION:+--deb-version "$VERSION"} --output "$to/" "$@"
}
deb -p vedette-collector
deb -p vedette-collector --variant cli
deb -p vedette-sensor
