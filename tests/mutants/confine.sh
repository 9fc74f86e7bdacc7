#!/bin/sh
# Runs a command where a missing defence can harm nobody: confine.sh FOLDER COMMAND..., in a mount namespace of its own.
# Disks are read-only but for FOLDER, memory is bounded: a test may attack the host, and the mutant lets it through.
set -eu
folder=$1
shift
mount --bind "$folder" "$folder"
# Where networks of containers are; the directory stays, what is in it does not.
mkdir -p /run/pybuild
mount -t tmpfs tmpfs /run/pybuild
awk '$(NF - 2) !~ /^(proc|sysfs|devtmpfs|devpts|mqueue|tmpfs|cgroup2?)$/ { print $5 }' /proc/self/mountinfo | while read -r point; do
    case $point in
        "$folder"*) ;;
        *) mount -o remount,bind,ro "$point" 2> /dev/null || true ;;
    esac
done
# The way here led through what is read-only now.
cd "$PWD"
if touch / 2> /dev/null; then
    echo "the disk of this host could not be made read-only" >&2
    exit 1
fi
# What is read without end ends here.
ulimit -v 6291456
# Not exec: this shell is the first process of the namespace, and reaps what loses its parent while it waits. pytest would
# not, and a test that waits until such a process is gone would never end.
"$@"
exit $?
