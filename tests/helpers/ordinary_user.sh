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

# Each test runs this many times: no program is started twice where once is enough.
cd /etc
touch passwd group subuid subgid
cp passwd group subuid subgid /mnt/etc/
for name in passwd group subuid subgid; do
    mount --bind "/mnt/etc/$name" "/etc/$name"
done
echo "tester:x:4242:4242::/mnt/home:/bin/sh" >> /etc/passwd
echo "tester:x:4242:" >> /etc/group
echo "$SUBORDINATE" | tee -a /etc/subuid >> /etc/subgid

# All directories on the way, each once, behind those above it.
ways=:
IFS=:
for path in $paths; do
    below=
    while [ -n "$path" ]; do
        case $ways in *":$path:"*) break ;; esac
        below=$path:$below
        path=${path%/*}
    done
    ways=$ways$below
done
# A closed one is covered by an open view of itself.
find ${ways#:} -maxdepth 0 ! -perm -o=x | while read -r closed; do
    scratch=$(mktemp -d -p /mnt)
    mkdir "$scratch/upper" "$scratch/work"
    mount -t overlay -o "lowerdir=$closed,upperdir=$scratch/upper,workdir=$scratch/work" none "$closed"
    chmod o+rx "$closed"
done
unset IFS

[ -z "${POD:-}" ] || mount -t tmpfs none /proc/tty
cd /mnt/home
exec setpriv --reuid=4242 --regid=4242 --clear-groups --inh-caps=-all ${POD:+--bounding-set=-all --no-new-privs} -- "$@"
