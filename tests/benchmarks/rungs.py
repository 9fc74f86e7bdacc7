"""What works on which rung of isolation: ``python -m tests.benchmarks.rungs`` prints the table of runtime/README.md.

Each row is a place: this host as root and as ordinary users, containers of a Docker daemon of its own, which runs as root
here, and of podman. In each place the same Dockerfiles are built, and layers are compared with those that root gets, but
for the one of packages, which holds times. Where no command runs, the last column says what `pybuild doctor` advises.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from itertools import chain, groupby
from pathlib import Path

from tests.helpers import bases
from tests.helpers.ordinary import ordinary_user
from tests.helpers.peers import SHARED, docker
from tests.helpers.program import Program
from tests.helpers.restricted import COVERED_PROC, WITHOUT_MOUNTS, restricted

_REPOSITORY = Path(__file__).parents[2]
_PACKAGES = "packages"
_BUILDS = {
    "copies": "FROM small AS a\nCOPY --chown=5:6 a /a\nWORKDIR /d/e\nFROM small\nCOPY a /b\n",
    "stages": "FROM small AS a\nCOPY --chown=alice a /a\nFROM scratch\nCOPY --from=a /a /b\n",
    "runs": "FROM small\nRUN id && touch /made && chown alice /made\n",
    "mounts": "FROM small\nRUN --mount=type=cache,target=/c touch /c/a && rm -f /home/alice/x\n"
    "RUN --mount=type=secret,id=s cat /run/secrets/s > /copy\nUSER alice\nRUN touch /home/alice/mine\n",
    _PACKAGES: "FROM bookworm\nCOPY *.deb /debs/\nRUN apt-get install -y /debs/*.deb &&"
    " test \"$(stat -c '%U %G %a' /usr/bin/crontab)\" = 'root crontab 2755'\n",
}
_DEBS = ("cron", "cron-daemon-common", "sensible-utils")
"""Packages with a group, and a set-group-ID program, of their own."""
_COLUMNS = (
    "place",
    "rung",
    "COPY alone",
    "COPY --from, names",
    "RUN",
    "USER, cache, secret",
    "apt-get",
    "layers as root's",
    "what RUN needs",
)
_SCRIPT = """
pybuild import $IO/small.tar small > /dev/null && pybuild import $IO/bookworm.tar bookworm > /dev/null || exit 1
pybuild doctor --format=json || true
for name in {names}; do
    mkdir -p $WORK$name && cp $IO/$name/* $WORK$name/ && touch -d @1 $WORK$name/a
    pybuild build -q --network=host --build-arg=SOURCE_DATE_EPOCH=1 --secret=id=s,src=$WORK$name/a -t $name $WORK$name > /dev/null 2>&1 &&
        pybuild inspect -f '{{{{json .RootFS.Layers}}}}' $name || echo null
done
"""
_UNCONFINED = ("--security-opt", "seccomp=unconfined")
_NO_NEW_PRIVILEGES = ("--security-opt", "no-new-privileges")
_NO_CAPABILITIES = ("--cap-drop", "ALL")
_OPTIONS = {
    "docker run": (),
    "no-new-privileges": _NO_NEW_PRIVILEGES,
    "seccomp=unconfined": _UNCONFINED,
    "seccomp=unconfined, no-new-privileges": (*_UNCONFINED, *_NO_NEW_PRIVILEGES),
    "seccomp=unconfined, cap-drop ALL": (*_UNCONFINED, *_NO_CAPABILITIES),
    "cap-drop ALL": _NO_CAPABILITIES,
    "SYS_ADMIN only": (*_NO_CAPABILITIES, "--cap-add", "SYS_ADMIN"),
    "cap-add SYS_ADMIN": ("--cap-add", "SYS_ADMIN"),
}
# Its own limits may be higher than those of whoever runs this.
_LIMITS = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000")
_AS_USER = ", user 1000"
_IN_DOCKER = {
    f"{name}{place}": (*options, *user)
    for place, user in (("", ()), (_AS_USER, ("-u", "1000")))
    for name, options in _OPTIONS.items()
}
_IN_PODMAN = {"podman run": _LIMITS, f"podman run{_AS_USER}": (*_LIMITS, "-u", "1000")}


def _contexts(directory: Path) -> None:
    shutil.copy(bases.small(), directory / "small.tar")
    shutil.copy(bases.bookworm(), directory / "bookworm.tar")
    for name, text in _BUILDS.items():
        (directory / name).mkdir()
        (directory / name / "Dockerfile").write_text(text)
        (directory / name / "a").write_text("a\n")
    subprocess.run(["apt-get", "download", "-q", *_DEBS], cwd=directory / _PACKAGES, check=True, capture_output=True)


def _here(program: Program, io: Path, seen: Path) -> list[str]:
    """Run the script by *program*, which sees the directory *io* as *seen*."""
    script = _SCRIPT.format(names=" ".join(_BUILDS)).replace("$IO", os.fspath(seen))
    words = program.command()
    script = script.replace("pybuild ", f"{' '.join(words[-3:])} ").replace("$WORK", f"{seen}/work-")
    (io / "go.sh").write_text(script)
    ended = subprocess.run(
        [*words[:-3], "sh", f"{seen}/go.sh"], env=program.environment, capture_output=True, text=True, check=False
    )
    return [ended.stdout] if ended.returncode == 0 else [ended.stdout, ended.stderr]


def _on_host(directory: Path) -> Iterator[tuple[str, list[str]]]:
    places = {
        "root": restricted(Program(store=directory / "root/store")),
        "root without CAP_SYS_ADMIN": restricted(Program(store=directory / "bound/store"), *WITHOUT_MOUNTS),
        "the same, /proc covered": restricted(Program(store=directory / "proc/store"), *COVERED_PROC, *WITHOUT_MOUNTS),
    }
    for number, (name, program) in enumerate(places.items()):
        io = directory / f"io-{number}"
        io.mkdir()
        _contexts(io)
        yield name, _here(program, io, io)
    for name, ids in {"user with subordinate ids": "tester:500000:65536", "user without": ""}.items():
        user = ordinary_user(directory / name.replace(" ", "-"), subordinate=ids)
        _contexts(user.directory)
        subprocess.run(["chown", "-R", "4242", user.directory], check=True)
        yield name, _here(user, user.directory, user.seen(user.directory))


def _in_containers(directory: Path) -> Iterator[tuple[str, list[str]]]:
    io = directory / "io"
    io.mkdir()
    _contexts(io)
    script = (
        f"export PATH={sys.prefix}/bin:/ids:/usr/bin:/usr/sbin PYBUILD_ROOT=/tmp/store IO=/io WORK=/tmp/ HOME=/tmp\n"
    )
    (io / "go.sh").write_text(script + _SCRIPT.format(names=" ".join(_BUILDS)))
    _image(directory)
    with docker(directory / "docker", shared=Path("/")) as daemon:
        yield from _run_in([*daemon.client], _IN_DOCKER, directory, os.fspath(SHARED))
    # crun 1.8 refuses hosts that have cgroups of both versions.
    podman = ["podman", "--runtime=runc", "--cgroup-manager=cgroupfs"]
    podman += ["--root", f"{directory}/podman", "--runroot", f"{directory}/run"]
    yield from _run_in(podman, _IN_PODMAN, directory, "")


def _run_in(
    engine: list[str], places: dict[str, tuple[str, ...]], directory: Path, seen: str
) -> Iterator[tuple[str, list[str]]]:
    """Run the script in a container of *engine* in each place. The engine sees the root of this host at *seen*."""
    subprocess.run(
        [*engine, "import", f"{seen}{directory}/image.tar", "pybuild-rungs"], check=True, capture_output=True
    )
    paths = dict.fromkeys(("/usr", os.fspath(_REPOSITORY), sys.prefix, sys.base_prefix))
    binds = [*(f"-v={seen}{path}:{path}:ro" for path in paths), f"-v={seen}{directory}/io:/io:ro"]
    for name, options in places.items():
        # The store is on a volume, as the README advises: on the overlay of the container every snapshot is a copy.
        words = ["run", "--rm", "--network=none", "-v=/tmp", *binds, *options, "pybuild-rungs", "sh", "/io/go.sh"]
        ended = subprocess.run([*engine, *words], capture_output=True, text=True, check=False)
        yield name, [ended.stdout, ended.stderr]


def _image(directory: Path) -> None:
    """Write an image that borrows /usr of this host; its newuidmap has capabilities, its user 1000 ids."""
    top = directory / "image"
    for name in ("etc", "tmp", "usr", "proc", "sys", "dev", "ids"):
        (top / name).mkdir(parents=True)
    (top / "tmp").chmod(0o1777)
    for name in ("bin", "sbin", "lib", "lib64"):
        (top / name).symlink_to(f"usr/{name}")
    (top / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nu:x:1000:1000::/tmp:/bin/sh\n")
    (top / "etc/group").write_text("root:x:0:\nu:x:1000:\n")
    for name, capability in (("newuidmap", "cap_setuid"), ("newgidmap", "cap_setgid")):
        (top / "etc" / name.replace("new", "sub").replace("map", "")).write_text("u:100000:65536\n")
        shutil.copy(shutil.which(name) or name, top / "ids" / name)
        (top / "ids" / name).chmod(0o755)
        subprocess.run(["setcap", f"{capability}=ep", top / "ids" / name], check=True)
    xattrs = ["--xattrs", "--xattrs-include=security.capability"]
    subprocess.run(["tar", *xattrs, "-C", top, "-cf", directory / "image.tar", "."], check=True)
    assert tarfile.is_tarfile(directory / "image.tar")


def _row(place: str, printed: list[str], expected: list[str]) -> list[str]:
    text, end = printed[0], printed[0].rfind("\n}") + 2
    if end < 2:
        return [f"{place}: {printed[-1]}"]
    found = json.loads(text[:end])
    used = found["isolation"]["used"]
    # An option of the container is nearer than another user, or other files in its image.
    needed = sorted((rung["needs"] for rung in found["rungs"]), key=lambda text: not text.startswith("docker run --"))
    needs = needed[0] if used == "none" else ""
    layers = text[end:].split()
    expected[:] = expected or layers
    worked = ["yes" if each != "null" else "no" for each in layers]
    alike = zip(layers, expected, _BUILDS, strict=True)
    same = all(mine in {"null", root} for mine, root, name in alike if name != _PACKAGES)
    return [place, used, *worked, "yes" if same else "no", needs]


def _joined(rows: Iterable[list[str]]) -> Iterator[list[str]]:
    """Yield *rows*, and one in place of several that follow each other and differ in the place alone."""
    for cells, alike in groupby(rows, key=lambda row: row[1:]):
        yield ["; ".join(row[0] for row in alike), *cells]


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory(prefix="rungs-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        sys.stdout.write(f"| {' | '.join(_COLUMNS)} |\n{'|---' * len(_COLUMNS)}|\n")
        expected: list[str] = []
        found = chain(_on_host(directory), _in_containers(directory))
        for cells in _joined(_row(place, printed, expected) for place, printed in found):
            sys.stdout.write(f"| {' | '.join(cells)} |\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
