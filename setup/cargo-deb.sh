#!/bin/bash
# Makes sure that cargo-deb is here, which makes Debian packages.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$HOME/.cargo/bin:$PATH" CARGO_TERM_PROGRESS_WHEN=never
version=3.8.0

[ "$(cargo deb --version 2>/dev/null)" = "cargo-deb $version" ] && exit 0
echo "cargo-deb: installing version $version" >&2
cargo install cargo-deb --version "$version" --locked --quiet >&2
