#!/bin/bash
# Links the sensor statically, as it is shipped to any host, and the guest that tries it in virtual machines, into
# target/static. Only the programs themselves are compiled with the setting that says so: all that they are made of is
# what the tests' own build has made, or will use, for how a program is linked is decided when it is. With VEDETTE_ARCH=arm64
# they are compiled for that architecture, into target/static-arm64.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$HOME/.cargo/bin:$PATH" CARGO_TERM_PROGRESS_WHEN=never CARGO_INCREMENTAL=0
to=target/static from=target/debug flags=()
case ${VEDETTE_ARCH:-amd64} in
    amd64) ;;
    arm64)
        triple=aarch64-unknown-linux-gnu
        to=target/static-arm64 from=target/$triple/debug flags=(--target "$triple")
        command -v aarch64-linux-gnu-gcc >/dev/null || { echo "aarch64-linux-gnu-gcc was not found: setup/packages.sh arm64" >&2; exit 1; }
        rustup target add "$triple" >&2
        export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
        ;;
    *) echo "VEDETTE_ARCH: found $VEDETTE_ARCH, expected amd64 or arm64" >&2; exit 1 ;;
esac
mkdir -p "$to"
link() {
    cargo rustc --locked --quiet "${flags[@]}" -p "$1" --bin "$2" -- -C target-feature=+crt-static -C strip=symbols >&2
    # Whoever runs the one that is there goes on with it.
    cp "$from/$2" "$to/.$2" && mv "$to/.$2" "$to/$2"
}
link vedette-sensor vedette-sensor
link guest vedette-guest
echo "$to"
