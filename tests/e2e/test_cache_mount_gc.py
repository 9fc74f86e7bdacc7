"""Cache mounts are counted, listed and removed; never while a step of any builder works with them."""

import json
import os
from pathlib import Path

from tests.helpers.contexts import write_context
from tests.helpers.program import Program, build_arguments
from tests.helpers.waiting import until

TEXT = """
    FROM small
    RUN --mount=type=cache,id=packages,target=/c head -c 200000 /dev/urandom > /c/f
    RUN --mount=type=cache,target=/other,sharing=locked echo other > /other/f
"""


def rows(program: Program, *flags: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in program.run("df", "--format=json", *flags).stdout.splitlines()]


def counted(program: Program) -> dict[str, str]:
    return next(row for row in rows(program) if row["Type"] == "Cache Mounts")


def built(program: Program, directory: Path) -> Path:
    context = write_context(directory, {"Dockerfile": TEXT})
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


def test_one_that_a_step_of_another_process_works_with_stays(program: Program, tmp_path: Path) -> None:
    text = "FROM small\nRUN --mount=type=cache,id=busy,target=/c echo 1 > /c/f; while [ ! -e /c/go ]; do :; done; cat /c/f\n"
    context = write_context(tmp_path / "context", {"Dockerfile": text})
    builder = program.start(*build_arguments(context))
    (file,) = until(lambda: builder.poll() is None and list(program.store.glob("cache-mounts/*/f")))
    assert (counted(program)["Active"], rows(program, "-v")[0]["InUse"]) == ("1", "true")
    try:
        # Removing waits for no build; what a step works with stays.
        program.run("prune", "-f", "-a")
        assert file.read_text() == "1\n"
    finally:
        (file.parent / "go").touch()
        assert builder.communicate()[1]
    assert builder.returncode == 0
    assert counted(program)["TotalCount"] == "1"
    program.run("prune", "-f", "-a")
    assert counted(program)["TotalCount"] == "0"


def test_builds_of_another_namespace_have_cache_mounts_of_their_own(program: Program, tmp_path: Path) -> None:
    text = "FROM small\nARG N\nRUN --mount=type=cache,target=/c echo $N >> /c/f && cat /c/f > /seen\n"
    context = write_context(tmp_path / "context", {"Dockerfile": text})
    for number, flags in enumerate(((), ("--build-arg=BUILDKIT_CACHE_MOUNT_NS=mine",), ())):
        program.build(context, f"--build-arg=N={number}", *flags)
    assert program.run("run", "built", "cat", "/seen").stdout == "0\n2\n"
    assert {row["Name"] for row in rows(program, "-v")} == {"/c", "mine//c"}
