#!/bin/sh
# Run a command as a user of no privilege: ordinary_user.sh HOME PATHS COMMAND...
#
# For "unshare --mount": the user, its subordinate ids and its home (the folder HOME, shown at /mnt/home) exist in the
# mounts of this process alone. PATHS, separated by colons, can be read even if they stand in folders of root.
# With $POD it is as in a pod: parts of /proc are covered, no capability can be had, and no_new_privs is on.
set -eu
home=$1
paths=$2
shift 2

mount --make-rprivate /
mount -t tmpfs -o mode=755 none /mnt
mkdir /mnt/home /mnt/etc
mount --bind "$home" /mnt/home

for name in passwd group subuid subgid; do
    touch "/etc/$name"
    cp "/etc/$name" /mnt/etc/
    mount --bind "/mnt/etc/$name" "/etc/$name"
done
echo "tester:x:4242:4242::/mnt/home:/bin/sh" >> /etc/passwd
echo "tester:x:4242:" >> /etc/group
echo "$SUBORDINATE" | tee -a /etc/subuid >> /etc/subgid

# A closed folder on the way is covered by an open view of itself.
open() {
    [ "$1" = / ] && return
    open "$(dirname "$1")"
    if [ -z "$(find "$1" -maxdepth 0 -perm -o=x)" ]; then
        scratch=$(mktemp -d -p /mnt)
        mkdir "$scratch/upper" "$scratch/work"
        mount -t overlay -o "lowerdir=$1,upperdir=$scratch/upper,workdir=$scratch/work" none "$1"
        chmod o+rx "$1"
    fi
}
IFS=:
for path in $paths; do
    open "$path"
done
unset IFS

[ -z "${POD:-}" ] || mount -t tmpfs none /proc/tty
cd /mnt/home
exec setpriv --reuid=4242 --regid=4242 --clear-groups --inh-caps=-all ${POD:+--bounding-set=-all --no-new-privs} -- "$@"
