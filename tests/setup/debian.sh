#!/bin/sh
# Install the programs that the tests compare with, from Debian's packages: debian.sh [PACKAGE...]
#
# Only what is missing is installed, and no service is started or enabled: tests start what they need themselves, on
# loopback, and end it. Where installing is not possible this says so and ends well: the tests that need a missing
# program skip, each with its reason.
set -eu

wanted="aardvark-dns buildah busybox-static bzip2 docker-registry e2fsprogs fish git iproute2 iptables locales mmdebstrap netavark netcat-openbsd openssh-client openssh-server openssl passt podman qemu-system-common qemu-user-static skopeo slirp4netns uidmap umoci util-linux xz-utils zsh zstd $*"

if ! command -v apt-get > /dev/null || ! command -v dpkg-query > /dev/null; then
    echo "no apt here: tests that need one of these skip: $wanted"
    exit 0
fi

missing=
for package in $wanted; do
    case $(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2> /dev/null || true) in
    installed) ;;
    *) missing="$missing $package" ;;
    esac
done
if [ -z "$missing" ]; then
    exit 0
fi
if [ "$(id -u)" != 0 ]; then
    echo "not root: tests that need one of these skip:$missing"
    exit 0
fi

# Maintainer scripts start and enable services through these programs, which they look for in dpkg's PATH. policy-rc.d
# would be the documented way, but it is a file of the host: it would have to be written, and one that is there kept.
stubs=$(mktemp -d)
trap 'rm -r "$stubs"' EXIT
for name in deb-systemd-helper deb-systemd-invoke invoke-rc.d systemctl update-binfmts update-rc.d; do
    printf '#!/bin/sh\nexit 0\n' > "$stubs/$name"
    chmod 755 "$stubs/$name"
done
chmod 755 "$stubs"

echo "installing Debian packages, no service is started:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq || echo "some package lists could not be updated, those that are there are used"
# shellcheck disable=SC2086 # a list of words
apt-get install -qq --yes --no-install-recommends \
    -o DPkg::Path="$stubs:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" $missing > /dev/null
