#!/bin/bash
# Makes the Debian host that the suite `packages` installs the packages on, and keeps it outside of the working copy: as root.
# Prints "here FOLDER", or "missing why". FOLDER holds `disk` (a root file system), `vmlinuz` and `initrd`.
#
# What the host does when it boots: it unpacks a tar archive, its second disk, and runs `trial` of it on its second serial port.
set -euo pipefail
. "$(dirname "$0")/mirror.sh"

suite=bookworm
# A server that a person would have, and nothing of Vedette; bpftool tells what is in the kernel.
packages=systemd-sysv,udev,dbus,initramfs-tools,linux-image-cloud-amd64,adduser,sudo,procps,bpftool,postgresql
cache=${VEDETTE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vedette}/roots

unit() {
    cat <<'EOT'
[Unit]
Description=The trial on the second disk
ConditionPathExists=/dev/vdb

[Service]
Type=idle
RuntimeDirectory=trial
ExecStart=/bin/sh -c 'tar -C /run/trial -xf /dev/vdb && exec bash /run/trial/trial'
ExecStopPost=/usr/bin/systemctl --no-block poweroff
StandardOutput=tty
StandardError=journal+console
TTYPath=/dev/ttyS1


[Install]
WantedBy=multi-user.target
EOT
}

# Fills the folder $1; says why not on standard output.
make() {
    local to=$1 mirror
    mirror=$(mirror)
    [ -n "$mirror" ] || { echo "this machine has no Debian sources to take a mirror from"; return 1; }
    mkdir -p "$to/root/etc/postgresql-common" "$to/root/etc/systemd/system/multi-user.target.wants"
    unit >"$to/trial.service"
    # Debian's PostgreSQL makes a cluster of its own on installation, which would only cost time here.
    mmdebstrap --quiet --variant=minbase --skip=check/empty --include="$packages" \
        --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
        --essential-hook='mkdir -p "$1/etc/postgresql-common"; echo "create_main_cluster = false" >"$1/etc/postgresql-common/createcluster.conf"' \
        --customize-hook='echo trial >"$1/etc/hostname"; echo "127.0.1.1 trial" >>"$1/etc/hosts"' \
        --customize-hook='echo "/dev/vda / ext4 defaults 0 1" >"$1/etc/fstab"' \
        --customize-hook="copy-in '$to/trial.service' /etc/systemd/system/" \
        --customize-hook='chroot "$1" systemctl enable --quiet trial.service' \
        "$suite" "$to/root" "deb $mirror $suite main" >"$to/log" 2>&1 ||
        { echo "mmdebstrap of $suite: $(grep -m 1 -E '^E:' "$to/log" || tail -n 1 "$to/log")"; return 1; }
    mv "$(readlink -f "$to/root/vmlinuz")" "$to/vmlinuz" && mv "$(readlink -f "$to/root/initrd.img")" "$to/initrd"
    truncate -s 4G "$to/disk"
    mke2fs -q -t ext4 -E lazy_itable_init=1 -d "$to/root" "$to/disk" >"$to/log" 2>&1 || { echo "mke2fs: $(tail -n 1 "$to/log")"; return 1; }
    rm -rf "$to/root"
}

if [ "$(uname -m)" != x86_64 ] || ! command -v apt-get >/dev/null; then
    echo "missing the host comes from Debian's packages for x86_64, and this is $(uname -m) $(command -v apt-get || echo 'without apt-get')"
    exit
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "missing a root file system is made as root"
    exit
fi
mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9
rm -rf "$cache"/.new-*
# What was made by another text of this file is made anew.
line=$(cat "$0" | sha256sum | cut -d' ' -f1)
if [ "$(cat "$cache/trial/line" 2>/dev/null)" != "$line" ]; then
    new=$(mktemp -d "$cache/.new-XXXXXX")
    chmod 755 "$new"
    if ! why=$(make "$new"); then
        rm -rf "$new"
        echo "missing $why"
        exit
    fi
    echo "$line" >"$new/line"
    rm -rf "$cache/trial"
    mv "$new" "$cache/trial"
fi
echo "here $cache/trial"
