"""Debian without privileges: images are those of root, owners included, and a hostile program reaches nothing outside."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import bases, cases, configs, trees
from tests.helpers.hosts import need_programs
from tests.helpers.lab import Lab
from tests.helpers.rungs import Place, place_on
from tests.helpers.thorough import BEFORE_A_RELEASE

pytestmark = pytest.mark.xdist_group(cases.WITH_DEBIAN)

# It reads /proc/1, and a step after a chroot finds no processes in /proc.
OTHERWISE = {("chroot", "run-walks-through-everything")}
RUNGS = ("single", "chroot")
CASES = [name for name in cases.names() if cases.load(name).base == "bookworm" and not cases.load(name).fails]
# Those that install packages are long. The tests below install some on each rung, too.
PAIRS = [
    pytest.param(rung, name, marks=BEFORE_A_RELEASE if name in cases.INSTALLING else ())
    for rung in RUNGS
    for name in CASES
    if (rung, name) not in OTHERWISE
]


@pytest.fixture(scope="module", params=RUNGS)
def rung(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A store of its own that has the base; removed afterwards, since these images are large."""
    need_programs(["setpriv", "unshare", "mmdebstrap"])
    made = place_on(request.param, tmp_path_factory.mktemp(request.param) / "home")
    made.import_tar(bases.bookworm(), "bookworm")
    yield made
    shutil.rmtree(made.directory)


def _build(lab: Lab, rung: Place, name: str) -> Path:
    """Build the case *name* and its bases from the files that *lab* has; return the archive of the image."""
    built = lab.case(name)
    for base in built.case.bases:
        _build(lab, rung, base)
    # The files of the lab themselves: an archive that a case makes for its context holds the time when it was made.
    subprocess.run(["cp", "-a", built.directory, rung.directory], check=True)
    rung.give(rung.directory / name)
    seen = rung.seen / name
    options = ("-f", os.fspath(seen / built.dockerfile.relative_to(built.directory)), *built.case.options_in(seen))
    made = rung.program.build(seen / "context", *options, tag=name, check=False)
    assert made.exit_code == 0, made.printed
    rung.program.save(name, rung.seen / f"{name}.tar")
    return rung.directory / f"{name}.tar"


@pytest.mark.drawn
@pytest.mark.parametrize(("rung", "name"), PAIRS, indirect=["rung"])
def test_the_image_is_that_of_root(lab: Lab, rung: Place, name: str) -> None:
    image, expected = trees.read_archive(_build(lab, rung, name)), lab.case(name).image
    assert expected is not None
    found = list(trees.differences(image.tree, expected.tree, started=0))
    assert not found, found
    assert configs.settings(image.config) == configs.settings(expected.config)


PYTHON = "FROM bookworm\nRUN apt-get update && apt-get install -y --no-install-recommends python3\n"
VERDICTS = Path(__file__).parents[1] / "runtime/sandbox/inside/verdicts.py"
HOSTILE = Path(__file__).with_name("hostile_step.py")
# Answered otherwise than by the usual filter, which test_process.py tests.
OWN_VERDICTS: dict[str, dict[str, str]] = {"single": {}, "chroot": {"chroot": "EPERM"}}
USUAL = {
    **dict.fromkeys(("unshare-user", "mount", "umount2", "setns", "keyctl", "add_key", "bpf", "userfaultfd"), "EPERM"),
    **dict.fromkeys(("perf_event_open", "io_uring_setup", "open_by_handle_at", "fsopen", "move_mount"), "EPERM"),
    **dict.fromkeys(("pivot_root", "clone-user", "personality", "socket-vsock", "socket-alg", "tiocsti"), "EPERM"),
    **dict.fromkeys(("mount_setattr", "kcmp", "pidfd_getfd", "process_madvise"), "EPERM"),
    **dict.fromkeys(("clone3", "x32", "unknown"), "ENOSYS"),
    **dict.fromkeys(("openat2", "memfd_create", "netlink", "chroot"), "0"),
}


def _run(rung: Place, line: str, files: dict[str, str]) -> str:
    """Run a step on a Debian with Python; return what is shown."""
    seen = rung.context("step", {"Dockerfile": f"{PYTHON}COPY *.py /\n{line}\n", **files})
    built = rung.program.build(seen, f"--secret=id=s,src={seen}/s.py", check=False)
    shutil.rmtree(rung.directory / "step")
    assert built.exit_code == 0, built.printed
    return built.printed


def test_raw_calls_get_the_verdicts_of_the_filter(rung: Place) -> None:
    printed = _run(rung, "RUN python3 /verdicts.py", {"verdicts.py": VERDICTS.read_text(), "s.py": ""})
    found = dict(re.findall(r"^#\d+ [\d.]+ ([\w-]+) (\w+)$", printed, re.MULTILINE))
    assert {name: found.get(name) for name in USUAL} == {**USUAL, **OWN_VERDICTS[rung.rung]}


def test_a_hostile_program_reaches_nothing_outside(rung: Place) -> None:
    """By links of /proc, by what a supervisor does for its caller, by descriptors, by signals."""
    outside = rung.directory / "outside"
    outside.mkdir(mode=0o777)
    outside.chmod(0o777)
    (outside / "canary").write_text("of the host")
    before = (outside / "canary").stat()
    with subprocess.Popen(["sleep", "1000"], process_group=0) as process, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(f"\0{rung.seen}/outside")
        abstract.listen()
        try:
            run = "RUN --mount=type=secret,id=s python3 /hostile.py"
            line = f"{run} {rung.seen}/outside {process.pid}"
            printed = _run(rung, line, {"hostile.py": HOSTILE.read_text(), "s.py": "of the secret"})
            assert process.poll() is None
        finally:
            process.kill()
    assert re.findall(r"OPEN .*", printed) == []
    assert " ALL TRIED" in printed
    assert os.listdir(outside) == ["canary"]
    assert (outside / "canary").stat() == before
