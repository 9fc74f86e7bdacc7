#!/bin/sh
# Install the programs that the tests compare with, from Debian's packages: debian.sh [PACKAGE...]
#
# Only what is missing is installed. Where that is not possible this says so and ends well: the tests that need a
# missing program skip, each with its reason.
set -eu

wanted="buildah busybox-static bzip2 docker-registry git locales mmdebstrap openssh-client openssh-server openssl podman qemu-user-static skopeo uidmap umoci util-linux xz-utils zstd $*"

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

echo "installing Debian packages:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq || echo "some package lists could not be updated; going on with what is there"
# shellcheck disable=SC2086 # a list of words
apt-get install -qq --yes --no-install-recommends $missing > /dev/null
