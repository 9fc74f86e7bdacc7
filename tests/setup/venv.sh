#!/bin/sh
# Make a virtual environment with pybuild in it: venv.sh FOLDER WHAT, where WHAT is "." or ".[dev]".
set -eu
folder=$1
what=$2

fits() {
    "$1" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null
}

find_python() {
    for python in "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11; do
        if fits "$python"; then
            echo "$python"
            return
        fi
    done
}

python=$(find_python)
if [ -z "$python" ] && command -v apt-get > /dev/null && [ "$(id -u)" = 0 ]; then
    echo "installing python3 and python3-venv"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends python3 python3-venv > /dev/null
    python=$(find_python)
fi
if [ -z "$python" ]; then
    echo "no Python of 3.11 or later with venv and ensurepip; set PYTHON to one" >&2
    exit 3
fi

if ! fits "$folder/bin/python"; then
    "$python" -m venv --clear "$folder"
fi
"$folder/bin/python" -m pip install --quiet --quiet --disable-pip-version-check --editable "$what"
# An editable installation compiles nothing, and where PYTHONDONTWRITEBYTECODE is set each start would do it again.
"$folder/bin/python" -m compileall -qq builder grammar runtime
