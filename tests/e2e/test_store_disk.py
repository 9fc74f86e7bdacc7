"""A store whose disk is full to the last byte, has no inode left, or is read-only."""

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers.disks import clear, fill, fill_inodes, make_read_only, small_disk
from tests.helpers.hosts import need_root, need_small_base
from tests.helpers.program import Program
from tests.helpers.registry import FakeRegistry

READING = (
    ("images",),
    ("df",),
    ("history", "one"),
    ("inspect", "one"),
    ("save", "-o", "/dev/null", "one"),
    ("ps", "-a"),
    ("info",),
    ("volume", "ls"),
    ("network", "ls"),
    ("events", "--since", "1h", "--until", "1s"),
)


@pytest.fixture(params=["bytes", "inodes"])
def filled(request: pytest.FixtureRequest) -> Callable[[Path], None]:
    return fill if request.param == "bytes" else fill_inodes


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    need_root()
    with small_disk(tmp_path / "disk", inodes=150) as directory:
        yield directory


@pytest.fixture
def program(disk: Path, tmp_path: Path) -> Program:
    """A store on the small disk with the images "one" and "two", and a cache mount."""
    made = Program(store=disk / "store")
    for name in ("one", "two"):
        build(made, tmp_path, name)
    (made.store / "cache-mounts" / ("0" * 64)).mkdir()
    return made


def build(program: Program, tmp_path: Path, name: str, *flags: str) -> tuple[int, str]:
    context = tmp_path / f"context-{name}"
    context.mkdir(exist_ok=True)
    (context / "file").write_bytes(name.encode() * 10_000)
    (context / "Dockerfile").write_text(f"FROM scratch\nCOPY file /{name}\n")
    done = program.run("build", "-q", "-t", name, *flags, os.fspath(context), check=False)
    return done.returncode, done.stderr


def no_space(program: Program) -> str:
    return f"ERROR: no space left in {program.store}\n"


def test_a_build_on_a_full_disk_says_so_and_the_store_stays_sound(
    program: Program, disk: Path, tmp_path: Path, filled: Callable[[Path], None]
) -> None:
    filled(disk)
    code, said = build(program, tmp_path, "three")
    assert (code, said.startswith(no_space(program))) == (3, True)
    tagged = program.run("tag", "one", "other", check=False)
    assert (tagged.returncode, tagged.stderr.startswith(no_space(program))) == (3, True)
    clear(disk)
    assert build(program, tmp_path, "three") == (0, "")
    assert build(program, tmp_path, "one") == (0, "")


def test_reading_commands_work_on_a_full_disk(program: Program, disk: Path, filled: Callable[[Path], None]) -> None:
    filled(disk)
    for command in READING:
        program.run(*command)


def test_what_frees_space_works_on_a_full_disk(
    program: Program, disk: Path, tmp_path: Path, filled: Callable[[Path], None]
) -> None:
    for path in (program.store / "locks").iterdir():
        path.unlink()
    filled(disk)
    program.run("prune", "-f")
    program.run("rmi", "one")
    assert "two" in program.run("images").stdout
    assert "one" not in program.run("images").stdout
    program.run("prune", "-af")
    clear(disk)
    assert build(program, tmp_path, "one") == (0, "")


def test_containers_end_and_are_removed_on_a_full_disk(tmp_path: Path) -> None:
    need_root()
    with small_disk(tmp_path / "disk", "24m") as disk:
        program = Program(store=disk / "store", variables=(("PYBUILD_NETWORK", "none"),))
        program.run("import", "-c", "ENV PATH=/bin", str(need_small_base()), "small")
        loop = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done"
        program.run("run", "-d", "--name", "one", "small", "sh", "-c", loop)
        program.run("create", "--name", "two", "small", "sh", "-c", "exit 6")
        while not program.run("logs", "one").stdout:
            time.sleep(0.05)
        fill(disk)
        program.run("stop", "one")
        assert program.run("start", "-a", "two", check=False).returncode == 6
        states = program.run("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}", "one", "two")
        assert [line.strip() for line in states.stdout.splitlines()] == ["exited 5", "exited 6"]
        assert len(program.run("ps", "-aq").stdout.split()) == 2
        refused = program.run("create", "small", "true", check=False)
        assert (refused.returncode, refused.stderr.startswith(no_space(program))) == (3, True)
        program.run("rm", "one", "two")
        assert program.run("ps", "-aq").stdout == ""


def test_many_records_are_forgotten_in_the_space_that_is_held_for_it(
    program: Program, disk: Path, tmp_path: Path
) -> None:
    database = sqlite3.connect(program.store / "pybuild.db", isolation_level=None)
    rows = [
        (f"sha256:{number:064x}", f'[["sha256:{number:064x}","sha256:{number:064x}",1,"x"]]') for number in range(4000)
    ]
    database.execute("BEGIN")
    database.executemany("INSERT INTO records VALUES (?, ?, 0)", rows)
    database.execute("COMMIT")
    database.close()
    fill(disk)
    assert "records: 4000" in program.run("prune", "-f").stdout


def test_prune_works_on_a_full_disk_without_the_space_that_is_held_for_it(
    program: Program, disk: Path, tmp_path: Path, filled: Callable[[Path], None]
) -> None:
    shutil.rmtree(program.store / "reserve")
    # Its blobs are data of the cache, whose inodes the locks of the cache mount need.
    program.run("rmi", "two")
    filled(disk)
    printed = program.run("prune", "-af").stdout
    assert "records: 2" in printed
    assert not any((program.store / "cache-mounts").iterdir())
    clear(disk)
    assert build(program, tmp_path, "one") == (0, "")


def test_the_space_that_is_held_is_held_again_after_it_was_needed(program: Program, disk: Path) -> None:
    before = sorted(os.listdir(program.store / "reserve"))
    fill(disk)
    program.run("prune", "-f")
    clear(disk)
    program.run("prune", "-f")
    assert before
    assert sorted(os.listdir(program.store / "reserve")) == before


def test_a_store_that_can_only_be_read_is_read(program: Program, disk: Path) -> None:
    make_read_only(disk)
    for command in READING:
        program.run(*command)


def test_networks_of_a_store_that_can_only_be_read_are_shown(program: Program, disk: Path) -> None:
    listed = program.run("network", "ls", "-q").stdout
    make_read_only(disk)
    assert program.run("network", "ls", "-q").stdout == listed
    program.run("network", "inspect", "bridge")


def test_the_log_that_a_killed_builder_left_is_read_in_a_store_that_can_only_be_read(
    program: Program, disk: Path
) -> None:
    script = (
        "import os, sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "db.execute('INSERT INTO records SELECT key || 1, layers, used FROM records'); os._exit(0)"
    )
    os.spawnlp(os.P_WAIT, "python3", "python3", "-c", script, os.fspath(program.store / "pybuild.db"))
    assert (program.store / "pybuild.db-wal").stat().st_size
    make_read_only(disk)
    rows = program.run("df", "--format", "{{.Type}} {{.TotalCount}}").stdout
    assert "Build Cache 4" in rows


def test_what_writes_says_that_a_store_is_read_only(program: Program, disk: Path, tmp_path: Path) -> None:
    make_read_only(disk)
    expected = f"ERROR: the store {program.store} is read-only\n"
    code, said = build(program, tmp_path, "three")
    assert (code, said.startswith(expected)) == (3, True)
    for command in (("rmi", "one"), ("prune", "-f"), ("tag", "one", "other")):
        done = program.run(*command, check=False)
        assert (command, done.returncode, done.stderr.startswith(expected)) == (command, 3, True)


def test_another_disk_that_is_full_is_not_taken_for_that_of_the_store(disk: Path, tmp_path: Path) -> None:
    program = Program(store=tmp_path / "store")
    build(program, tmp_path, "one")
    fill(disk)
    for flag in ("--iidfile", "--metadata-file"):
        code, said = build(program, tmp_path, "one", flag, f"{disk}/file")
        assert (flag, code, said) == (flag, 3, f"ERROR: {disk}/file: no space left on device\n")
    for command in (("save", "-o", f"{disk}/file", "one"), ("copy", "one", f"oci:{disk}/file:1")):
        done = program.run(*command, check=False)
        assert (done.returncode, done.stderr) == (3, f"ERROR: {disk}/file: no space left on device\n")
    code, said = build(program, tmp_path, "one", "--log-file", f"{disk}/log")
    assert (code, said) == (3, f"ERROR: {disk}/log: no space left on device\n")

    code, said = build(program, tmp_path, "one", "--cache-to", f"type=local,dest={disk}/cache")
    assert (code, said) == (3, f"ERROR: failed to export cache to {disk}/cache: no space left on device\n")


def test_a_cache_is_not_written_to_a_disk_that_can_only_be_read(disk: Path, tmp_path: Path) -> None:
    program = Program(store=tmp_path / "store")
    make_read_only(disk)
    code, said = build(program, tmp_path, "one", "--cache-to", f"type=local,dest={disk}/cache")
    assert (code, said) == (3, f"ERROR: failed to export cache to {disk}/cache: read-only file system\n")


@pytest.mark.parametrize("command", [("images",), ("save", "one"), ("completion", "bash"), ("inspect", "one")])
def test_output_that_cannot_be_written_is_named_as_such(tmp_path: Path, command: tuple[str, ...]) -> None:
    program = Program(store=tmp_path / "store")
    build(program, tmp_path, "one")
    with Path("/dev/full").open("wb") as full:
        command_line, env = program.command(*command), program.environment
        done = subprocess.run(
            command_line, env=env, stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (3, "ERROR: /dev/stdout: no space left on device\n")


def test_a_disk_that_counts_no_blocks_is_no_full_one(tmp_path: Path) -> None:
    need_root()
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "ramfs", "ramfs", place], check=True)
    try:
        program = Program(store=place / "store")
        build(program, tmp_path, "one", "--pull=never")
        assert build(program, tmp_path, "one", "-o", f"type=local,dest={place}/out")[0] == 0
        assert (place / "out" / "one").stat().st_size == 30_000
        assert "left free" not in program.run("df").stderr
        assert program.run("prune", "-f").stdout.startswith("Deleted build cache records: 0\n")
        # Overlayfs needs attributes that ramfs lacks: the tree of the base is unpacked as a whole copy.
        assert program.run("export", "one").stdout.startswith("one")
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def test_run_says_which_store_is_full_or_read_only(program: Program, disk: Path) -> None:
    fill(disk)
    done = program.run("run", "one", "/one", check=False)
    assert (done.returncode, done.stderr.startswith(no_space(program))) == (125, True)
    clear(disk)
    make_read_only(disk)
    done = program.run("run", "one", "/one", check=False)
    assert (done.returncode, done.stderr.startswith(f"ERROR: the store {program.store} is read-only\n")) == (125, True)


def test_a_login_that_cannot_be_kept_names_the_file(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (disk / ".docker").mkdir()
    fill(disk)
    monkeypatch.setenv("HOME", os.fspath(disk))
    for name in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "DOCKER_AUTH_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    program = Program(store=tmp_path / "store")
    with FakeRegistry(token="secret") as server:
        done = program.run("login", "-u", "me", "-p", "pw", server.name, check=False)
    assert done.returncode == 3
    assert done.stderr.endswith(f"ERROR: {disk}/.docker/config.json: no space left on device\n")
