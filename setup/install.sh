#!/bin/bash
# Copies the programs from $1 into $2 (a prefix such as /usr/local), with the man pages and completions that they write themselves.
set -euo pipefail
from=$1 to=$2
programs=(vedette vedette-sensor vedette-collector)
man=$to/share/man/man1
bash=$to/share/bash-completion/completions
zsh=$to/share/zsh/site-functions
fish=$to/share/fish/vendor_completions.d
here=$(cd "$(dirname "$0")/.." && pwd)

install -d "$to/bin" "$man" "$bash" "$zsh" "$fish"
for program in "${programs[@]}"; do
    install -m 0755 "$from/$program" "$to/bin"
    "$from/$program" man "$man"
    "$from/$program" completions bash >"$bash/$program"
    "$from/$program" completions zsh >"$zsh/_$program"
    "$from/$program" completions fish >"$fish/$program.fish"
done
install -D -m 0644 "$here/sensor/collection/default.txt" "$to/share/vedette/collection.txt"
echo "installed ${programs[*]} into $to/bin, man pages into $man"
