"""Times to the nanosecond: what a step sees does not depend on how the snapshot below it came about."""

import os
import shutil
import tarfile
from pathlib import Path

import pytest

from tests.helpers.contexts import write_context
from tests.helpers.hosts import need_small_base
from tests.helpers.program import Program

SECOND = 1_000_000_000
OLD, NEW = 1_500_000_000 * SECOND + 123_456_789, 1_500_000_000 * SECOND + 987_654_321
SHOW = "RUN stat -c '%n %y' /new/a /new/b /added | cut -d. -f2 > /seen"
COPIED = f"""
    FROM small
    COPY src /new
    ADD src/b /added
    {SHOW}
"""
EXACT = ["123456789 +0000", "987654321 +0000", "987654321 +0000"]


def _context(directory: Path, text: str = COPIED) -> Path:
    write_context(directory, {"Dockerfile": text, "src/a": "1", "src/b": "2"})
    for name, time in {"a": OLD, "b": NEW, ".": NEW}.items():
        os.utime(directory / "src" / name, ns=(time, time))
    return directory


def _seen(program: Program, *options: str) -> list[str]:
    return program.run("run", "--rm", *options, "built", "cat", "/seen").stdout.splitlines()


def test_a_step_sees_the_times_of_the_context(program: Program, tmp_path: Path) -> None:
    program.build(_context(tmp_path / "context"))
    assert _seen(program) == EXACT


def test_a_bind_mount_of_the_context_has_its_times(program: Program, tmp_path: Path) -> None:
    mounted = "FROM small\nRUN --mount=type=bind,source=src,target=/m stat -c %y /m/a /m/b | cut -d. -f2 > /seen\n"
    program.build(_context(tmp_path / "context", mounted))
    assert _seen(program) == EXACT[:2]


def test_times_of_steps_and_copies_are_the_same_after_snapshots_are_gone(program: Program, tmp_path: Path) -> None:
    made = (
        COPIED + "RUN echo > /old && echo > /young && touch -d '2020-01-01 00:00:00' /third && stat -c %y /old > /at\n"
    )
    context = _context(tmp_path / "context", made)
    program.build(context)
    shutil.rmtree(program.store / "snapshots")
    shutil.rmtree(program.store / "trees", ignore_errors=True)
    check = (
        'RUN test "$(stat -c %y /old)" = "$(cat /at)" && stat -c "%n %y" /new/a /new/b /added | cut -d. -f2 > /seen\n'
    )
    (context / "Dockerfile").write_text("\n".join(line.strip() for line in (made + check).splitlines()))
    again = program.build(context)
    assert len(again.executed) == 1
    assert _seen(program) == EXACT


def test_an_image_of_this_store_has_the_times_that_its_steps_saw(program: Program, tmp_path: Path) -> None:
    program.build(_context(tmp_path / "context"))
    program.build(write_context(tmp_path / "other", {"Dockerfile": f"FROM built\n{SHOW}\n"}))
    assert _seen(program) == EXACT


def test_a_layer_keeps_the_times_that_it_was_first_made_with(program: Program, tmp_path: Path) -> None:
    context = _context(tmp_path / "context")
    program.build(context)
    os.utime(context / "src/a", ns=(NEW, NEW))
    program.build(context, "--no-cache")
    assert _seen(program) == EXACT
    # Once nothing needs the layer, it is made from its source again.
    program.run("rmi", "built")
    program.run("prune", "-a", "-f")
    program.import_tar(need_small_base(), "small")
    program.build(context)
    assert _seen(program) == [EXACT[1], *EXACT[1:]]


def test_other_stores_have_whole_seconds(program: Program, tmp_path: Path) -> None:
    context, cache = _context(tmp_path / "context"), tmp_path / "cache"
    program.build(context, "--cache-to", f"type=local,dest={cache},mode=max")
    other = Program(store=tmp_path / "other")
    other.import_tar(need_small_base(), "small")
    (context / "Dockerfile").write_text("\n".join(line.strip() for line in (COPIED + SHOW + " # again").splitlines()))
    done = other.build(context, "--cache-from", f"type=local,src={cache}")
    assert len(done.executed) == 1
    assert _seen(other) == ["000000000 +0000"] * 3


def test_a_bind_mount_of_the_context_has_its_times_beside_an_imported_cache(program: Program, tmp_path: Path) -> None:
    mounted = "FROM small\nRUN --mount=type=bind,source=src,target=/m stat -c %y /m/a /m/b | cut -d. -f2 > /seen\n"
    context, cache = _context(tmp_path / "context", mounted), tmp_path / "cache"
    program.build(context, "--cache-to", f"type=local,dest={cache},mode=max")
    other = Program(store=tmp_path / "other")
    other.import_tar(need_small_base(), "small")
    (context / "Dockerfile").write_text(mounted.replace("stat", "true; stat"))
    done = other.build(context, "--cache-from", f"type=local,src={cache}")
    assert len(done.executed) == 1
    assert _seen(other) == EXACT[:2]


def test_an_archive_of_the_tree_has_the_nearest_second(program: Program, tmp_path: Path) -> None:
    tree, exported = tmp_path / "tree.tar", tmp_path / "exported.tar"
    program.build(_context(tmp_path / "context"), "-o", f"type=tar,dest={tree}")
    program.run("export", "-o", str(exported), "built")
    for path, more in ((tree, 1), (exported, 0)):
        with tarfile.open(path) as archive:
            assert archive.getmember("new/a").mtime == OLD // SECOND
            assert archive.getmember("new/b").mtime == NEW // SECOND + more


@pytest.mark.parametrize("snapshotter", ["overlay", "copying"])
def test_a_directory_that_a_copy_passes_through_keeps_its_time(tmp_path: Path, snapshotter: str) -> None:
    program = Program(store=tmp_path / "store", variables=(("PYBUILD_SNAPSHOTTER", snapshotter),))
    program.import_tar(need_small_base(), "small")
    text = """
        FROM small
        RUN mkdir -p /d/in && stat -c %y /d > /at
        COPY src /d/in
        RUN stat -c %y /d | cmp - /at
    """
    context = _context(tmp_path / "context", text)
    program.build(context)
    # Nothing is unpacked any more: the copy learns from the layers alone what lies on its way.
    shutil.rmtree(program.store / ("trees" if snapshotter == "copying" else "snapshots"))
    (context / "src" / "c").write_text("3")
    assert len(program.build(context).executed) == 2


@pytest.mark.parametrize("gone", [False, True])
def test_with_an_epoch_a_step_sees_the_times_that_the_layers_have(program: Program, tmp_path: Path, gone: bool) -> None:
    text, epoch = "FROM small\nRUN mkdir /d && echo > /d/f && ln -s f /d/l\n", "SOURCE_DATE_EPOCH=1600000000"
    context = write_context(tmp_path / "context", {"Dockerfile": text})
    program.build(context, "--build-arg", epoch)
    if gone:
        shutil.rmtree(program.store / "snapshots")
    (context / "Dockerfile").write_text(text + "RUN stat -c %Y /d /d/f /d/l > /seen\n")
    assert len(program.build(context, "--build-arg", epoch).executed) == 1
    assert _seen(program) == ["1600000000"] * 3
