#!/bin/sh
# Show pybuild at work, with a store of its own that is gone afterwards: demo.sh PYBUILD
set -eu

pybuild=$1
here=$(dirname "$0")
exec 2>&1
PYBUILD_ROOT=$(mktemp -d)
export PYBUILD_ROOT
trap 'rm -rf "$PYBUILD_ROOT"' EXIT
trap 'exit 1' HUP INT TERM

show() {
    printf '\n$ pybuild %s\n' "$*"
    "$pybuild" "$@"
}

echo "A base image, made of this machine's own shell and core utilities (no network, no registry):"
printf '\n$ make-base.sh | pybuild import - hello-base\n'
sh "$here/make-base.sh" | "$pybuild" import - hello-base

printf '\nA build of two stages:\n'
show build --progress plain -t hello "$here"

printf '\nThe same again; every step comes from the cache:\n'
show build --progress plain -t hello "$here"

printf '\nAnother argument; only the steps that use it run:\n'
show build --progress plain --build-arg NAME=reader -t hello:reader "$here"

printf '\nThe images run:\n'
show run --rm hello
show run --rm hello:reader
show history hello
show images
