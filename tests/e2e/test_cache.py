"""What a change re-runs, and what it does not."""

import os
from pathlib import Path

from tests.helpers.contexts import write_context
from tests.helpers.program import Program, build_arguments
from tests.helpers.watch import opened_files

TWO_STAGES = """
    FROM small AS made
    COPY one.txt /src/
    RUN cp /src/one.txt /out.txt
    RUN echo other > /other.txt
    FROM small
    COPY two.txt /
    COPY --from=made /out.txt /
    RUN cat /out.txt /two.txt > /both.txt
"""


def _two_stages(directory: Path) -> Path:
    return write_context(directory, {"Dockerfile": TWO_STAGES, "one.txt": "1\n", "two.txt": "2\n", "three.txt": "3\n"})


def test_touched_source_reruns_only_what_depends_on_it(program: Program, tmp_path: Path) -> None:
    context = _two_stages(tmp_path / "context")
    program.build(context)
    (context / "two.txt").write_text("changed\n")
    again = program.build(context)
    assert again.executed == [
        "[stage-1 2/4] COPY two.txt /",
        "[stage-1 3/4] COPY --from=made /out.txt /",
        "[stage-1 4/4] RUN cat /out.txt /two.txt > /both.txt",
    ]
    assert program.run("run", "--rm", "built", "cat", "/both.txt").stdout == "1\nchanged\n"


def test_source_that_nobody_copies_does_not_count(program: Program, tmp_path: Path) -> None:
    context = _two_stages(tmp_path / "context")
    program.build(context)
    (context / "three.txt").write_text("changed\n")
    with opened_files(context) as opened:
        assert program.build(context).executed == []
    assert "three.txt" not in opened


def test_time_of_a_source_does_not_count(program: Program, tmp_path: Path) -> None:
    context = _two_stages(tmp_path / "context")
    program.build(context)
    os.utime(context / "one.txt", (1, 1))
    assert program.build(context).executed == []


def test_mode_of_a_source_counts(program: Program, tmp_path: Path) -> None:
    context = _two_stages(tmp_path / "context")
    program.build(context)
    (context / "two.txt").chmod(0o600)
    assert len(program.build(context).executed) == 3


def test_change_is_seen_although_size_and_time_stay(program: Program, tmp_path: Path) -> None:
    context = _two_stages(tmp_path / "context")
    program.build(context)
    before = (context / "two.txt").stat()
    (context / "two.txt").write_text("3\n")
    os.utime(context / "two.txt", ns=(before.st_atime_ns, before.st_mtime_ns))
    program.build(context)
    assert program.run("run", "--rm", "built", "cat", "/both.txt").stdout == "1\n3\n"


def test_files_are_not_read_again_for_another_label(program: Program, tmp_path: Path) -> None:
    files = {f"folder/{number}": f"{number}\n" for number in range(50)}
    context = write_context(tmp_path / "context", {"Dockerfile": "FROM small\nCOPY folder /d/\n", **files})
    program.build(context)
    (context / "folder/7").write_text("changed\n")
    program.build(context)
    with opened_files(context / "folder") as opened:
        assert program.build(context, "--label", "a=b").executed == []
    assert opened == set()
    assert program.run("run", "--rm", "built", "cat", "/d/7").stdout == "changed\n"


def test_changed_stage_with_the_same_files_does_not_rerun_what_copies_them(program: Program, tmp_path: Path) -> None:
    context = _two_stages(tmp_path / "context")
    program.build(context)
    dockerfile = context / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text().replace("echo other", "echo changed"))
    again = program.build(context)
    assert again.executed == ["[made 4/4] RUN echo changed > /other.txt"]


def test_changed_stage_with_other_files_reruns_what_copies_them(program: Program, tmp_path: Path) -> None:
    context = _two_stages(tmp_path / "context")
    program.build(context)
    (context / "one.txt").write_text("changed\n")
    assert len(program.build(context).executed) == 5
    assert program.run("run", "--rm", "built", "cat", "/both.txt").stdout == "changed\n2\n"


def test_build_argument_counts_where_it_is_used(program: Program, tmp_path: Path) -> None:
    text = "FROM small\nRUN echo before > /x\nARG who=one\nCOPY Dockerfile /\nRUN echo $who > /y\n"
    context = write_context(tmp_path / "context", {"Dockerfile": text})
    program.build(context)
    again = program.build(context, "--build-arg", "who=two")
    assert again.executed == ["[4/4] RUN echo two > /y"]
    assert program.build(context).executed == []


def test_proxy_argument_does_not_count(program: Program, tmp_path: Path) -> None:
    context = write_context(tmp_path / "context", {"Dockerfile": "FROM small\nRUN echo x > /y\n"})
    program.build(context)
    assert program.build(context, "--build-arg", "http_proxy=elsewhere").executed == []


def test_contents_of_a_cache_mount_do_not_count(program: Program, tmp_path: Path) -> None:
    text = "FROM small\nRUN --mount=type=cache,target=/c date >> /c/log && cp /c/log /first\n"
    context = write_context(tmp_path / "context", {"Dockerfile": text})
    program.build(context)
    assert program.build(context).executed == []


def test_bind_mount_counts_by_its_content(program: Program, tmp_path: Path) -> None:
    text = "FROM small\nRUN --mount=target=/c cat /c/one.txt > /x\n"
    context = write_context(tmp_path / "context", {"Dockerfile": text, "one.txt": "1\n"})
    program.build(context)
    assert program.build(context).executed == []
    (context / "one.txt").write_text("2\n")
    assert program.build(context).executed == ["[2/2] RUN --mount=target=/c cat /c/one.txt > /x"]


def test_no_cache_runs_everything(program: Program, tmp_path: Path) -> None:
    context = _two_stages(tmp_path / "context")
    program.build(context)
    again = program.build(context, "--no-cache")
    assert again.cached == []
    assert len(again.executed) == 6


def test_steps_of_a_stage_run_although_the_cache_has_them(program: Program, tmp_path: Path) -> None:
    context = _two_stages(tmp_path / "context")
    program.build(context)
    again = program.build(context, "--no-cache-filter=Made")
    assert [step.split()[0] for step in again.executed] == ["[made"] * 3, "the copied files are the same"
    assert len(again.cached) == 3
    last = program.build(context, "--no-cache-filter=1")
    assert len(last.executed) == 3
    assert program.build(context).executed == []


def test_what_stands_on_a_stage_runs_after_it(program: Program, tmp_path: Path) -> None:
    text = "FROM small AS one\nRUN date +%s%N > /one\nFROM one\nRUN cp /one /two\n"
    context = write_context(tmp_path / "context", {"Dockerfile": text})
    program.build(context)
    assert len(program.build(context, "--no-cache-filter", "one").executed) == 2
    assert program.run("run", "--rm", "built", "cmp", "/one", "/two").returncode == 0


def test_layers_that_are_too_old_do_not_count(program: Program, tmp_path: Path) -> None:
    context = _two_stages(tmp_path / "context")
    program.build(context)
    assert program.build(context, "--cache-ttl=1h").executed == []
    assert len(program.build(context, "--cache-ttl=0s").executed) == 6


def test_steps_before_a_failure_are_kept(program: Program, tmp_path: Path) -> None:
    text = "FROM small\nRUN echo one > /one\nRUN test -e /two\nRUN echo three > /three\n"
    context = write_context(tmp_path / "context", {"Dockerfile": text})
    first = program.build(context, check=False)
    assert first.exit_code == 1
    again = program.build(context, check=False)
    assert again.cached == ["[2/4] RUN echo one > /one"]
    assert again.exit_code == 1
    (context / "Dockerfile").write_text(text.replace("test -e", "touch"))
    mended = program.build(context)
    assert mended.cached == ["[2/4] RUN echo one > /one"]
    assert mended.executed == ["[3/4] RUN touch /two", "[4/4] RUN echo three > /three"]


def test_failure_is_tried_again(program: Program, tmp_path: Path) -> None:
    text = "FROM small\nRUN --mount=type=cache,target=/c test -e /c/mark || ! touch /c/mark\n"
    context = write_context(tmp_path / "context", {"Dockerfile": text})
    assert program.build(context, check=False).exit_code == 1
    assert program.build(context, check=False).exit_code == 0


def test_base_that_changed_reruns_what_stands_on_it(program: Program, tmp_path: Path) -> None:
    base = write_context(tmp_path / "base", {"Dockerfile": "FROM small\nRUN echo 1 > /base\n"})
    context = write_context(tmp_path / "context", {"Dockerfile": "FROM base\nRUN cp /base /copy\n"})
    program.build(base, tag="base")
    program.build(context)
    (base / "Dockerfile").write_text("FROM small\nRUN echo 2 > /base\n")
    program.build(base, tag="base")
    assert program.build(context).executed == ["[2/2] RUN cp /base /copy"]
    assert program.run("run", "--rm", "built", "cat", "/copy").stdout == "2\n"


def test_same_tree_by_another_way_is_kept_once(program: Program, tmp_path: Path) -> None:
    context = write_context(tmp_path / "context", {"Dockerfile": "FROM small\nCOPY one.txt /d/\n", "one.txt": "1\n"})
    program.build(context)
    blobs = {path.name for path in (program.store / "blobs" / "sha256").iterdir()}
    (context / "Dockerfile").write_text("FROM small\nCOPY *.txt d/\n")
    program.build(context, "--label", "x=y")
    fresh = {path for path in (program.store / "blobs" / "sha256").iterdir() if path.name not in blobs}
    assert all(path.read_bytes().startswith(b"{") for path in fresh), "a second layer for the same files"


def _lists(name: str) -> str:
    return f"RUN --mount=type=cache,id=shelf,target=/c,mode=0750 ls /c > /{name}; touch /c/{name}\n"


def _mounts(program: Program) -> int:
    return sum(path.is_dir() for path in (program.store / "cache-mounts").iterdir())


def _found(program: Program, name: str) -> list[str]:
    return program.run("run", "--rm", "built", "cat", f"/{name}").stdout.split()


def test_no_cache_begins_with_an_empty_cache_mount_once_in_a_build(program: Program, tmp_path: Path) -> None:
    first = write_context(tmp_path / "first", {"Dockerfile": "FROM small\n" + _lists("one")})
    second = write_context(tmp_path / "second", {"Dockerfile": "FROM small\n" + _lists("two") + _lists("three")})
    third = write_context(tmp_path / "third", {"Dockerfile": "FROM small\n" + _lists("four")})
    program.build(first)
    program.build(second, "--no-cache")
    assert (_found(program, "two"), _found(program, "three")) == ([], ["two"])
    program.build(third)
    assert _found(program, "four") == ["three", "two"], "what the build without a cache left is kept"
    assert _mounts(program) == 1


def test_a_stage_without_a_cache_empties_the_cache_mounts_of_its_own_steps(program: Program, tmp_path: Path) -> None:
    other = "RUN --mount=type=cache,id=other,target=/o ls /o > /other; touch /o/x\n"
    text = "FROM small AS one\n" + other + "FROM small AS two\nCOPY --from=one /other /before\n" + _lists("here")
    context = write_context(tmp_path / "context", {"Dockerfile": text})
    program.build(context)
    program.build(context, "--no-cache-filter=two")
    assert _found(program, "here") == []
    assert len(program.build(context, "--no-cache-filter=one").executed) >= 1
    assert _found(program, "before") == []


def test_a_cache_mount_in_use_is_not_emptied_under_its_user(program: Program, tmp_path: Path) -> None:
    mounts = "--mount=type=cache,id=shelf,target=/c,mode=0750 --mount=type=cache,id=door,target=/d"
    text = f"RUN {mounts} touch /c/mine /d/up; echo up; until test -e /d/open; do sleep 0.1; done; ls /c"
    slow = program.start(*build_arguments(write_context(tmp_path / "slow", {"Dockerfile": f"FROM small\n{text}\n"})))
    assert slow.stderr is not None
    while not slow.stderr.readline().endswith(" up\n"):
        assert slow.poll() is None
    other = write_context(tmp_path / "other", {"Dockerfile": "FROM small\n" + _lists("one")})
    program.build(other, "--no-cache")
    assert _found(program, "one") == []
    (door,) = (program.store / "cache-mounts").glob("*/up")
    door.with_name("open").touch()
    assert slow.communicate()[1].count(" mine\n") == 1
    program.build(other, "--no-cache")
    assert _mounts(program) == 2, "what was set aside is gone"


def test_cache_mounts_of_another_name_space_are_others(program: Program, tmp_path: Path) -> None:
    context = write_context(tmp_path / "context", {"Dockerfile": "FROM small\n" + _lists("one")})
    program.build(context)
    program.build(context, "--build-arg=BUILDKIT_CACHE_MOUNT_NS=other")
    assert _found(program, "one") == []
    assert _mounts(program) == 2
