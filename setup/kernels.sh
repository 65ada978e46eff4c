#!/bin/bash
# Fetches the kernels that the suite `kernels` boots, from Debian's packages, and keeps them outside of the working copy.
# Prints a line for each: "here NAME FOLDER", or "missing NAME why". FOLDER holds `vmlinuz`, `modules/*.ko` and `packages`.
#
# To add a kernel, add its line: a name, the Debian suite, and patterns (as grep -E has them) of the packages, of each of which the newest is taken.
# With VEDETTE_ARCH=arm64 they are that architecture's, for a sensor that is compiled for it; `busybox` is in FOLDER then too.
set -euo pipefail

arch=${VEDETTE_ARCH:-amd64}

kernels() {
    [ "$arch" = amd64 ] || { kernels_of_others; return; }
    cat <<'EOT'
5.10  bullseye  linux-image-5\.10\.[^-]*-[0-9]+-cloud-amd64
6.1   bookworm  linux-image-6\.1\.[^-]*-[0-9]+-cloud-amd64
6.12  trixie    linux-image-6\.12\.[^-]*-cloud-amd64
7.x   sid       linux-binary-7\.[^-]*-cloud-amd64  linux-modules-7\.[^-]*-cloud-amd64
EOT
}

kernels_of_others() {
    cat <<EOT
6.1   bookworm  linux-image-6\.1\.[^-]*-[0-9]+-cloud-$arch
6.12  trixie    linux-image-6\.12\.[^-]*-cloud-$arch
EOT
}

# Modules that scenarios need, by name; those that they depend on must stand here too.
modules=(dummy overlay veth)

cache=${VEDETTE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vedette}/kernels
[ "$arch" = amd64 ] || cache+=-$arch

. "$(dirname "$0")/mirror.sh"

# What apt said of its trouble first, from the log in $1.
complaint() { grep -m 1 -E '^[EW]:' "$1" || tail -n 1 "$1"; }

# Fills the folder $1 with one kernel; says why not on standard output.
fetch() {
    local to=$1 suite=$2 apt=$1/apt mirror pattern package image module
    shift 2
    mirror=$(mirror)
    [ -n "$mirror" ] || { echo "this machine has no Debian sources to take a mirror from"; return 1; }
    # Settings, lists and downloads of its own, so that the machine's sources and packages stay as they are.
    mkdir -p "$apt"/{lists,cache/archives}/partial "$to"/{unpacked,modules}
    echo "deb $mirror $suite main" >"$apt/sources.list"
    cat >"$apt/apt.conf" <<EOT
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "$apt/lists";
Dir::State::status "/dev/null";
Dir::Cache "$apt/cache";
APT::Architecture "$arch";
APT::Architectures "$arch";
APT::Update::Error-Mode "any";
APT::Sandbox::User "$(id -un)";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
EOT
    apt-get -c "$apt/apt.conf" update >"$apt/log" 2>&1 || { echo "apt-get update of $suite: $(complaint "$apt/log")"; return 1; }
    for pattern in "$@"; do
        package=$(apt-cache -c "$apt/apt.conf" pkgnames linux- | grep -Ex "$pattern" | sort -V | tail -n 1)
        [ -n "$package" ] || { echo "$suite has no package $pattern"; return 1; }
        (cd "$apt" && rm -f ./*.deb && apt-get -c "$apt/apt.conf" download "$package") >"$apt/log" 2>&1 ||
            { echo "$package cannot be had: $(complaint "$apt/log")"; return 1; }
        dpkg -x "$apt"/*.deb "$to/unpacked" || { echo "$package cannot be unpacked"; return 1; }
        echo "$package" >>"$to/packages"
    done
    if [ "$arch" != amd64 ]; then
        (cd "$apt" && rm -f ./*.deb && apt-get -c "$apt/apt.conf" download busybox-static) >"$apt/log" 2>&1 &&
            dpkg -x "$apt"/*.deb "$to/unpacked" && cp "$(find "$to/unpacked" -path '*/bin/busybox')" "$to/busybox" ||
            { echo "busybox-static cannot be had: $(complaint "$apt/log")"; return 1; }
    fi
    image=$(find "$to/unpacked" -type f -name 'vmlinuz*' | head -n 1)
    [ -n "$image" ] && mv "$image" "$to/vmlinuz" || { echo "no vmlinuz in $*"; return 1; }
    for module in "${modules[@]}"; do
        unpack_module "$to" "$module" || { echo "no module $module in $*"; return 1; }
    done
    rm -rf "$to/unpacked" "$apt"
}

unpack_module() {
    local found
    found=$(find "$1/unpacked" -type f -name "$2.ko*" | head -n 1)
    case $found in
        *.ko) cp "$found" "$1/modules/$2.ko" ;;
        *.ko.xz) busybox unxz <"$found" >"$1/modules/$2.ko" ;;
        *) return 1 ;;
    esac
}

get() {
    local name=$1 new why line="$* modules ${modules[*]}"
    # What was made for another line of the table is made anew.
    if [ "$(cat "$cache/$name/line" 2>/dev/null)" != "$line" ]; then
        new=$(mktemp -d "$cache/.new-XXXXXX")
        if ! why=$(fetch "$new" "${@:2}"); then
            rm -rf "$new"
            echo "missing $name $why"
            return
        fi
        echo "$line" >"$new/line"
        rm -rf "${cache:?}/$name"
        mv "$new" "$cache/$name"
    fi
    echo "here $name $cache/$name"
}

if [ "$(uname -m)" != x86_64 ] || ! command -v apt-get >/dev/null; then
    kernels | while read -r name _; do
        echo "missing $name kernels come from Debian's packages for x86_64, and this is $(uname -m) $(command -v apt-get || echo 'without apt-get')"
    done
    exit
fi
mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9
# Nobody else is at it: what lies half made is from a run that was killed.
rm -rf "$cache"/.new-*
while read -r -a kernel; do
    get "${kernel[@]}"
done < <(kernels)
