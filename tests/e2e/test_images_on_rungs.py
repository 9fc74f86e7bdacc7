"""What a hostile image or Dockerfile asks for in vain, on each rung of isolation that runs steps; see tests/SECURITY.md."""

import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

import pybuild
from tests.helpers import bases
from tests.helpers.leftovers import marked_descendants
from tests.helpers.program import Built
from tests.helpers.rungs import Place, each_rung, place_on
from tests.helpers.waiting import settled

POISON = "import os\nos.write(2, b'code of the image')\nos.open('CANARY/loaded', os.O_CREAT)\n"
MODULES = ("traceback", "enum", "linecache", "warnings", "sitecustomize", "pwd", "grp", "stat", "errno")


@pytest.fixture(scope="module", params=each_rung(group="images"))
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = place_on(request.param, tmp_path_factory.mktemp(request.param) / "home")
    made.import_tar(bases.small(), "small")
    yield made
    shutil.rmtree(made.directory)


@pytest.fixture
def victim(place: Place) -> Iterator[Path]:
    """A directory that everybody may write, in which nothing may change."""
    path = place.directory / "victim"
    path.mkdir()
    path.chmod(0o777)
    (path / "ptmx").write_text("keep")
    yield path
    assert [(each.name, each.read_text()) for each in path.iterdir()] == [("ptmx", "keep")]
    shutil.rmtree(path)


def build(place: Place, text: str, *options: str) -> Built:
    """Build *text* in the context ``c``, which may be there."""
    seen = place.context("c", {"Dockerfile": text, "s": "secret"})
    built = place.program.build(seen, "--no-cache", f"--secret=id=s,src={seen}/s", *options, check=False)
    assert "Traceback" not in built.printed
    return built


def test_a04_links_in_the_place_of_terminals_and_devices_have_no_effect(place: Place, victim: Path) -> None:
    for name in ("console", "pts", "ptmx", "null", "shm", "tty"):
        link = place.directory / "c/links/dev" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"{place.seen}/victim/ptmx")
    run = "RUN echo written > /dev/null && echo kind $(stat -c %F /dev/null) && ls -l /dev"
    built = build(place, f"FROM small\nCOPY links/ /\n{run}\n")
    assert built.exit_code == 0, built.printed
    assert " kind character special file" in built.printed
    assert "victim" not in built.steps[-2].output


def test_a06_a_system_directory_that_is_a_link_is_refused(place: Place, victim: Path) -> None:
    for name, link in {"dev": "VICTIM", "proc": "../../../../../..VICTIM"}.items():
        directory = place.directory / "c" / name
        directory.mkdir(parents=True, exist_ok=True)
        (directory / name).symlink_to(link.replace("VICTIM", f"{place.seen}/victim"))
        built = build(place, f"FROM small AS a\nFROM scratch\nCOPY --from=a /bin /bin\nCOPY {name}/ /\nRUN true\n")
        assert built.exit_code == 1, built.printed
        assert f"unable to find mount point /{name}: the image has something else" in built.printed


@pytest.mark.parametrize(
    ("mount", "target", "said"),
    [
        ("tmpfs", "/x/self", "/x/self: mounts on /dev, in /proc and in /sys are not allowed"),
        ("secret,id=s", "/dev/null", "/dev/null: the sandbox has something of its own there"),
    ],
)
def test_a07_nothing_is_mounted_on_system_directories(place: Place, mount: str, target: str, said: str) -> None:
    built = build(place, f"FROM small\nRUN ln -s /proc /x\nRUN --mount=type={mount},target={target} true\n")
    assert built.exit_code == 1, built.printed
    assert f"cannot mount on {said}" in built.printed


def test_a08_a_mount_whose_source_and_target_are_links_shows_nothing_of_the_host(place: Place, victim: Path) -> None:
    """One stage swaps the link in a cache mount, while the steps of another one mount something where it leads."""
    cache, out = "--mount=type=cache,id=swapped,target=/c", f"{place.seen}/victim"
    look = (
        f"RUN {cache} --mount=type=bind,from=links,source=/out,target=/c/d/m "
        f"cat /c/in/m/ptmx {out}/m/ptmx 2> /dev/null | sed 's/^/seen /'\n"
    )
    swap = f"for n in $(seq 150); do for to in /..{out} {'../' * 9}{out} in; do ln -s $to /c/t; mv -T /c/t /c/d; done; done"
    built = build(
        place,
        f"FROM small AS links\nRUN mkdir -p {out} && echo of the image > {out}/ptmx && ln -s /..{out} /out\n"
        f"FROM small AS a\nRUN {cache} mkdir /c/in && ln -s {out} /c/d\n{look}"
        f"FROM a AS b\nRUN {cache} {swap}\n"
        f"FROM a\n{look * 5}RUN --mount=type=bind,from=b,target=/b true\n",
    )
    assert built.exit_code == 0, built.printed
    assert set(re.findall(r"^#.* seen (.*)$", built.printed, re.MULTILINE)) == {"of the image"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("RUN --mount=type=bind,target=/x,bind-propagation=shared true", "unexpected key 'bind-propagation'"),
        ("RUN --security=insecure true", "security.insecure"),
    ],
    ids=["a11", "a12"],
)
def test_a11_a12_no_option_and_no_privilege_that_was_not_permitted(place: Place, text: str, said: str) -> None:
    context = place.context("c", {"Dockerfile": f"FROM small\n{text}\n"})
    done = place.program.run("build", "--network=default", "--progress=plain", os.fspath(context), check=False)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize("plant", ["mkfifo /etc/passwd", "ln -s /dev/zero /etc/passwd"], ids=["fifo", "link"])
def test_a15_a_database_of_users_that_is_no_file_is_refused(place: Place, plant: str) -> None:
    built = build(place, f"FROM small\nRUN rm /etc/passwd && {plant}\nUSER alice\nRUN true\n")
    assert built.exit_code == 1, built.printed
    assert "unable to read users /etc/passwd: " in built.printed


def test_a26_nobody_else_reaches_a_program_with_set_id_bits(place: Place) -> None:
    built = build(place, "FROM small\nRUN cp /bin/busybox /other && chown 5:6 /other && chmod 6755 /other\n")
    assert built.exit_code == 0, built.printed
    store = place.directory / "store"
    found = [path for path in store.rglob("other") if path.lstat().st_mode & (stat.S_ISUID | stat.S_ISGID)]
    assert found
    for path in found:
        assert any(not above.stat().st_mode & 0o077 for above in path.parents if above.is_relative_to(store))


def test_a27_a28_code_and_variables_of_an_image_stay_out_of_the_builder(place: Place, victim: Path) -> None:
    library, ours = Path(os.__file__).parent, Path(pybuild.__file__).parent
    for directory in (library, library / "encodings", ours, ours / "runtime", ours / "runtime/supervisor"):
        for name in MODULES:
            path = place.directory / "c/poison" / directory.relative_to("/") / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(POISON.replace("CANARY", f"{place.seen}/victim"))
    base = f"FROM small\nCOPY poison/ /\nENV LD_PRELOAD={library}/pwd.py PYTHONPATH={library} PYTHONHOME=/ PYTHONINSPECT=1\n"
    work = "RUN touch /a && chown 5:6 /a && mkfifo /p && su bob -c id && stat -c %u:%g /a && cd /proc && ls\n"
    for text, code in ((work, 0), ("WORKDIR /a/b\nUSER ghost\nRUN true\n", 1)):
        built = build(place, base + text)
        assert built.exit_code == code, built.printed
        assert "code of the image" not in built.printed


def test_a29_limits_hold_and_a_flood_of_processes_ends_with_its_time(place: Place) -> None:
    grow = """awk 'BEGIN { s = "x"; while (1) s = s s }' > /dev/null 2>&1 || echo memory ends"""
    text = f"FROM small\nRUN dd if=/dev/zero of=/big bs=1M count=1; echo size $(stat -c %s /big); {grow}\n"
    limited = build(place, text, "--ulimit=fsize=65536", "--ulimit=data=33554432")
    assert (" size 65536" in limited.printed, " memory ends" in limited.printed) == (True, True), limited.printed
    flood = "FROM small\nRUN for n in $(seq 50); do (sleep 1000 & setsid sleep 1000 &); done; sleep 1000\n"
    with marked_descendants() as living:
        built = build(place, flood, "--step-timeout=1s")
        assert built.exit_code == 1, built.printed
        left = settled(living, [])
    assert left == []


def test_a31_a_lock_file_that_is_a_link_is_not_followed(place: Place, victim: Path) -> None:
    claims = place.directory / "store/locks/claims"
    claims.rename(claims.with_name("before"))
    claims.symlink_to(f"{place.seen}/victim/ptmx")
    try:
        built = build(place, "FROM small\nRUN true\n")
    finally:
        claims.unlink()
        claims.with_name("before").rename(claims)
    assert built.exit_code != 0
    assert "claims" in built.printed
