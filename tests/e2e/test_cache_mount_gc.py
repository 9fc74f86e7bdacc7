"""Cache mounts are counted, listed and removed; never while a step of any builder works with them."""

import hashlib
import json
import os
import time
from contextlib import suppress
from pathlib import Path

from tests.helpers.contexts import write_context
from tests.helpers.program import Program, build_arguments

TEXT = """
    FROM small
    RUN --mount=type=cache,id=packages,target=/c head -c 200000 /dev/urandom > /c/f
    RUN --mount=type=cache,target=/other,sharing=locked echo other > /other/f
"""


def rows(program: Program, *flags: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in program.run("df", "--format=json", *flags).stdout.splitlines()]


def counted(program: Program) -> dict[str, str]:
    return next(row for row in rows(program) if row["Type"] == "Cache Mounts")


def built(program: Program, folder: Path) -> Path:
    context = write_context(folder, {"Dockerfile": TEXT})
    program.build(context)
    return context


def test_df_counts_and_lists_them(program: Program, tmp_path: Path) -> None:
    assert counted(program)["TotalCount"] == "0"
    built(program, tmp_path / "context")
    row = counted(program)
    assert (row["TotalCount"], row["Active"]) == ("2", "0")
    assert row["Size"].endswith("kB")
    listed = {row["Name"]: row for row in rows(program, "-v")}
    assert listed.keys() == {"packages", "/other"}
    assert {row["InUse"] for row in listed.values()} == {"false"}
    assert listed["packages"]["LastUsed"].endswith(" ago")


def test_prune_leaves_them_unless_all_or_their_kind_is_asked_for(program: Program, tmp_path: Path) -> None:
    context = built(program, tmp_path / "context")
    program.run("prune", "-f")
    program.run("prune", "-f", "--filter=type=regular")
    assert counted(program)["TotalCount"] == "2"
    program.build(context)
    printed = program.run("prune", "-f", "--filter=type=exec.cachemount").stdout
    assert "Deleted cache mounts:" in printed
    assert "deleted: packages" in printed
    assert "Total reclaimed space: 0B" not in printed
    assert counted(program)["TotalCount"] == "0"
    assert program.build(context).executed == [], "results of steps are of another kind"
    program.build(context, "--no-cache")
    program.run("prune", "-f", "-a")
    assert counted(program)["TotalCount"] == "0"
    assert os.listdir(program.store / "cache-mounts") == []


def test_limits_count_them(program: Program, tmp_path: Path) -> None:
    built(program, tmp_path / "context")
    program.run("prune", "-f", "--max-used-space=100k")
    assert "packages" not in {row["Name"] for row in rows(program, "-v")}


def waits_for_builders(program: Program, pid: int) -> bool:
    """Whether a process has the file of the lock open that builders share."""
    lock = os.fspath(program.store / "locks" / hashlib.sha256(b"gc").hexdigest()[:32])
    folder = Path("/proc", str(pid), "fd")
    for name in os.listdir(folder):
        # It opens and closes files meanwhile.
        with suppress(FileNotFoundError):
            if os.readlink(folder / name) == lock:
                return True
    return False


def test_one_that_a_step_of_another_process_works_with_stays(program: Program, tmp_path: Path) -> None:
    text = "FROM small\nRUN --mount=type=cache,id=busy,target=/c echo 1 > /c/f; while [ ! -e /c/go ]; do :; done; cat /c/f\n"
    context = write_context(tmp_path / "context", {"Dockerfile": text})
    builder = program.start(*build_arguments(context))
    deadline = time.monotonic() + 60
    while not list(program.store.glob("cache-mounts/*/f")) and time.monotonic() < deadline:
        assert builder.poll() is None
    (file,) = program.store.glob("cache-mounts/*/f")
    assert (counted(program)["Active"], rows(program, "-v")[0]["InUse"]) == ("1", "true")
    pruner = program.start("prune", "-f", "-a", "-q")
    try:
        while not waits_for_builders(program, pruner.pid) and time.monotonic() < deadline:
            assert pruner.poll() is None, "prune did not wait"
        assert file.read_text() == "1\n"
    finally:
        (file.parent / "go").touch()
        assert builder.communicate()[1]
        pruner.communicate()
    assert (builder.returncode, pruner.returncode) == (0, 0)
    assert counted(program)["TotalCount"] == "0"
