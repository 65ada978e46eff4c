#!/bin/bash
# Installs the Debian packages that are missing for a purpose: `build`, `test` or `bench`.
# Asks for nothing, touches no package that is there already.
set -euo pipefail

purpose=${1:?build, test or bench}

# What is needed, as "a thing that must be there" and "the package that brings it".
build_needs() {
    cat <<'EOF'
command:cc          build-essential
command:make        make
command:clang       clang
file:/usr/include/bpf/bpf_helpers.h  libbpf-dev
library:libclang    libclang-dev
command:curl        curl
file:/usr/include/openssl/ssl.h  libssl-dev
file:/etc/ssl/certs/ca-certificates.crt  ca-certificates
postgres:initdb     postgresql
EOF
}

test_needs() {
    cat <<'EOF'
file:/usr/bin/python3  python3
command:pgrep       procps
file:/bin/busybox   busybox-static
command:podman      podman
command:runc        runc
command:containerd  containerd
command:faketime    faketime
command:java        openjdk-17-jre-headless
command:mvn         maven
file:/usr/sbin/iptables  iptables
command:mmdebstrap  mmdebstrap
command:mke2fs  e2fsprogs
command:dpkg-shlibdeps  dpkg-dev
EOF
    # The kernels that are tried are those of x86_64.
    [ "$(uname -m)" != x86_64 ] || echo 'command:qemu-system-x86_64  qemu-system-x86'
}

arm64_needs() {
    cat <<'LIST'
command:aarch64-linux-gnu-gcc  gcc-aarch64-linux-gnu
command:aarch64-linux-gnu-g++  g++-aarch64-linux-gnu
file:/usr/aarch64-linux-gnu/include/asm/types.h  linux-libc-dev-arm64-cross
command:qemu-system-aarch64  qemu-system-arm
LIST
}

bench_needs() {
    test_needs
    cat <<'LIST'
command:bpftrace  bpftrace
command:redis-server  redis-server
command:redis-benchmark  redis-tools
file:/sbin/auditctl  auditd
LIST
}

is_there() {
    local kind=${1%%:*} name=${1#*:}
    case $kind in
        command) command -v "$name" >/dev/null ;;
        file) [ -e "$name" ] ;;
        library) ldconfig -p | grep -q "$name" || compgen -G "/usr/lib/llvm-*/lib/$name*.so*" >/dev/null ;;
        postgres) command -v "$name" >/dev/null || compgen -G "/usr/lib/postgresql/*/bin/$name" >/dev/null ;;
    esac
}

missing=()
while read -r thing package; do
    is_there "$thing" || missing+=("$package")
done <<<"$("${purpose}_needs")"

[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
    echo "packages: missing ${missing[*]}, and this machine has no apt-get: install them by hand, then run make again" >&2
    exit 1
fi
run=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "packages: missing ${missing[*]}; run as root: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    run=(sudo)
fi

echo "packages: installing ${missing[*]}"
# Debian's PostgreSQL starts a cluster of its own on installation; ours is private, so that one is not wanted.
if [[ " ${missing[*]} " == *" postgresql "* ]] && [ ! -e /etc/postgresql-common/createcluster.conf ]; then
    "${run[@]}" mkdir -p /etc/postgresql-common
    echo "create_main_cluster = false" | "${run[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
    echo "packages: wrote create_main_cluster = false to /etc/postgresql-common/createcluster.conf"
fi
# Debian starts what it installs. These two are wanted as programs, not as services.
services=()
for service in redis-server auditd; do
    [[ " ${missing[*]} " != *" $service "* ]] || services+=("$service")
done
if [ ${#services[@]} -gt 0 ] && [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' | "${run[@]}" tee /usr/sbin/policy-rc.d >/dev/null
    "${run[@]}" chmod 755 /usr/sbin/policy-rc.d
    trap '"${run[@]}" rm -f /usr/sbin/policy-rc.d' EXIT
fi
log=$(mktemp)
if ! { "${run[@]}" apt-get update && "${run[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "packages: apt-get could not install ${missing[*]}; its whole output is in $log" >&2
    exit 1
fi
rm -f "$log"
if [ ${#services[@]} -gt 0 ] && command -v systemctl >/dev/null; then
    "${run[@]}" systemctl disable "${services[@]}" >/dev/null 2>&1 || true
    echo "packages: ${services[*]} were installed as programs and are not started at boot"
fi
