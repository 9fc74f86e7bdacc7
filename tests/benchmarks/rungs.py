"""What works on which rung of isolation: ``python -m tests.benchmarks.rungs [DOCKER [PODMAN [SEEN]]]`` prints the table of runtime/README.md.

Each row is a place: this host as root and as ordinary users, containers of the daemon at the address DOCKER, which runs as root
here, and containers of podman, which the words PODMAN start. In each place the same Dockerfiles are built, and layers are compared
with those that root gets, but for the one of packages, which holds times.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from tests.helpers import bases
from tests.helpers.ordinary import ordinary_user
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
_DOCKER = {
    "docker run": (),
    "docker run, user 1000": ("-u", "1000"),
    "seccomp=unconfined": ("--security-opt", "seccomp=unconfined"),
    "seccomp=unconfined, user 1000": ("--security-opt", "seccomp=unconfined", "-u", "1000"),
    "the same, no-new-privileges": (
        "--security-opt",
        "seccomp=unconfined",
        "--security-opt",
        "no-new-privileges",
        "-u",
        "1000",
    ),
    "seccomp=unconfined, cap-drop ALL": ("--security-opt", "seccomp=unconfined", "--cap-drop", "ALL"),
    "the same, user 1000 (a pod)": ("--security-opt", "seccomp=unconfined", "--cap-drop", "ALL", "-u", "1000"),
    "cap-add SYS_ADMIN": ("--cap-add", "SYS_ADMIN"),
}

# Its own limits may be higher than those of whoever runs this.
_LIMITS = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000")
_PODMAN = {"podman run": _LIMITS, "podman run, user 1000": (*_LIMITS, "-u", "1000")}


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


def _in_containers(docker: list[str], podman: list[str], directory: Path, seen: str) -> Iterator[tuple[str, list[str]]]:
    io = directory / "io"
    io.mkdir()
    _contexts(io)
    venv = Path(sys.prefix)
    script = f"export PATH={venv}/bin:/ids:/usr/bin:/usr/sbin PYBUILD_ROOT=/tmp/store IO=/io WORK=/tmp/ HOME=/tmp\n"
    (io / "go.sh").write_text(script + _SCRIPT.format(names=" ".join(_BUILDS)))
    _image(directory)
    paths = dict.fromkeys(("/usr", os.fspath(_REPOSITORY), os.fspath(venv), sys.base_prefix))
    for engine, places in ((docker, _DOCKER), (podman, _PODMAN)):
        if not engine:
            continue
        # The client of a daemon reads the archive itself.
        archive = f"{'' if engine == docker else seen}{directory}/image.tar"
        subprocess.run([*engine, "import", archive, "pybuild-rungs"], check=True, stdout=subprocess.DEVNULL)
        binds = [f"-v={seen}{path}:{path}:ro" for path in paths]
        for name, options in places.items():
            # The store is on a volume, as the README advises: on the overlay of the container every snapshot is a copy.
            words = [
                "run",
                "--rm",
                "--network=none",
                "-v=/tmp",
                *binds,
                f"-v={seen}{io}:/io:ro",
                *options,
                "pybuild-rungs",
            ]
            ended = subprocess.run([*engine, *words, "sh", "/io/go.sh"], capture_output=True, text=True, check=False)
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


def _row(place: str, printed: list[str], expected: list[str]) -> tuple[list[str], str]:
    text, end = printed[0], printed[0].rfind("\n}") + 2
    if end < 2:
        return [], f"{place}: {printed[-1]}"
    used = json.loads(text[:end])["isolation"]["used"]
    layers = text[end:].split()
    expected[:] = expected or layers
    worked = ["yes" if each != "null" else "no" for each in layers]
    alike = zip(layers, expected, _BUILDS, strict=True)
    same = all(mine in {"null", root} for mine, root, name in alike if name != _PACKAGES)
    return [place, used, *worked, "yes" if same else "no"], ""


def main(address: str = "", podman: str = "", seen: str = "") -> None:
    """Print the table: of this host, of containers of the daemon at *address*, and of those that the words *podman* start.

    Engines with another root see that of this host at *seen*.
    """
    with tempfile.TemporaryDirectory(prefix="rungs-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        expected: list[str] = []
        sys.stdout.write(f"| {' | '.join(_COLUMNS)} |\n{'|---' * len(_COLUMNS)}|\n")
        docker = ["docker", "-H", address] if address else []
        for place, printed in chain(_on_host(directory), _in_containers(docker, podman.split(), directory, seen)):
            cells, failure = _row(place, printed, expected)
            sys.stdout.write(f"| {' | '.join(cells)} |\n" if cells else f"{failure}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
