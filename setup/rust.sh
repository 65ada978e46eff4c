#!/bin/bash
# Makes sure that the Rust of rust-toolchain.toml is here: by the rustup that is installed, else by the
# distribution's rustup package, else by the official installer.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$HOME/.cargo/bin:$PATH"

channel=$(sed -n 's/^channel *= *"\(.*\)"/\1/p' rust-toolchain.toml)

has_channel() {
    command -v cargo >/dev/null && command -v rustc >/dev/null && [[ "$(rustc --version 2>/dev/null)" == "rustc $channel "* ]]
}

has_channel && exit 0

if ! command -v rustup >/dev/null; then
    run=()
    [ "$(id -u)" -eq 0 ] || run=(sudo)
    if apt-get install --simulate rustup >/dev/null 2>&1; then
        echo "rust: installing the distribution's rustup package"
        "${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends rustup >/dev/null
    else
        echo "rust: no rustup here and no package for it: running the official installer, https://sh.rustup.rs"
        if ! curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --no-modify-path --profile minimal --default-toolchain none; then
            echo "rust: the installer did not run; install Rust $channel by hand (rustup toolchain install $channel), then run make again" >&2
            exit 1
        fi
    fi
fi

echo "rust: installing Rust $channel (rust-toolchain.toml)"
rustup toolchain install "$channel" --profile minimal --component rustfmt --component clippy
has_channel || {
    echo "rust: found $(rustc --version 2>&1), expected rustc $channel; run: rustup toolchain install $channel" >&2
    exit 1
}
