#!/bin/bash
# Links the sensor statically, as it is shipped to any host, and the guest that tries it in virtual machines, into
# target/static. Only the programs themselves are compiled with the setting that says so: all that they are made of is
# what the tests' own build has made, or will use, for how a program is linked is decided when it is.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$HOME/.cargo/bin:$PATH" CARGO_TERM_PROGRESS_WHEN=never CARGO_INCREMENTAL=0
mkdir -p target/static
link() {
    cargo rustc --locked --quiet -p "$1" --bin "$2" -- -C target-feature=+crt-static -C strip=symbols >&2
    # Whoever runs the one that is there goes on with it.
    cp "target/debug/$2" "target/static/.$2" && mv "target/static/.$2" "target/static/$2"
}
link vedette-sensor vedette-sensor
link guest vedette-guest
echo target/static
