#!/bin/sh
# Run a command on a copy of this checkout in a bare Debian: chroot.sh SUITE COMMAND [ARGUMENT...]
#
# The Debian is made anew by mmdebstrap, with make and nothing else that is not essential, so that whatever the command
# needs and does not install itself is found missing. Needs root. Nothing outlives the command: mounts are those of a
# mount namespace, processes those of a PID namespace, and the directory is removed.
set -eu
suite=$1
shift
here=$(cd "$(dirname "$0")/../.." && pwd)
root=$(mktemp -d "${TMPDIR:-/var/tmp}/pybuild-$suite-XXXXXX")
trap 'rm -rf --one-file-system "$root" "$root.apt"' EXIT
trap 'exit 1' HUP INT TERM

# Release files of a suite that is still in the making expire within a week; a mirror may lag behind that.
echo 'Acquire::Check-Valid-Until "false";' > "$root.apt"
mmdebstrap --quiet --variant=minbase --include=make,ca-certificates --aptopt="$root.apt" "$suite" "$root"
rm "$root.apt"
mkdir "$root/src"
git -C "$here" ls-files -z --cached --others --exclude-standard | tar -C "$here" --null -T - -c | tar -x -C "$root/src"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
# How this machine reaches package registries: its authorities and pip's settings.
for file in /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
    if [ -f "$file" ]; then
        cp -L "$file" "$root$file"
    fi
done

unshare --mount --pid --fork --kill-child --propagation private sh -euc '
    root=$1
    shift
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount --rbind /sys "$root/sys"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/run"
    # Not chroot: a process in a chroot may make no user namespace (user_namespaces(7)).
    mkdir "$root/run/host"
    cd "$root"
    pivot_root . run/host
    umount --lazy /run/host
    rmdir /run/host
    exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
        PYBUILD_TESTS_NO_SKIPS="${PYBUILD_TESTS_NO_SKIPS:-}" sh -c "cd /src && exec \"\$@\"" sh "$@"
' sh "$root" "$@"
