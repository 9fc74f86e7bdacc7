"""Builds at the same time on one store."""

from pathlib import Path

from pybuild.builder.oci.validate import validate_store
from tests.helpers.contexts import write_context
from tests.helpers.program import Built, Program, build_arguments, built

SLOW = "RUN sleep 2 && cat /proc/sys/kernel/random/uuid > /id"


def _build_at_once(program: Program, contexts: list[Path]) -> list[Built]:
    running = [
        program.start(*build_arguments(context, tag=f"built-{number}")) for number, context in enumerate(contexts)
    ]
    printed = [process.communicate()[1] for process in running]
    return [built(process.returncode, text) for process, text in zip(running, printed, strict=True)]


def _id(program: Program, number: int) -> str:
    return program.run("run", "--rm", f"built-{number}", "cat", "/id").stdout


def test_same_slow_step_runs_once(program: Program, tmp_path: Path) -> None:
    contexts = [
        write_context(tmp_path / name, {"Dockerfile": f"FROM small\n{SLOW}\nRUN echo {name} > /own\n"})
        for name in ("one", "two", "three")
    ]
    builds = _build_at_once(program, contexts)
    assert [build.exit_code for build in builds] == [0, 0, 0], [build.printed for build in builds]
    assert sum(f"[2/3] {SLOW}" in build.executed for build in builds) == 1
    assert sum(f"[2/3] {SLOW}" in build.cached for build in builds) == 2
    assert len({_id(program, number) for number in range(3)}) == 1
    assert validate_store(program.store) == []


def test_same_build_twice_at_once_gives_one_image(program: Program, tmp_path: Path) -> None:
    files = {"Dockerfile": "FROM small\nCOPY folder /d/\nRUN cat /d/* > /all\n"}
    files |= {f"folder/{number}": "x" * number for number in range(200)}
    contexts = [write_context(tmp_path / name, files) for name in ("one", "two", "three", "four")]
    builds = _build_at_once(program, contexts)
    assert [build.exit_code for build in builds] == [0, 0, 0, 0], [build.printed for build in builds]
    assert sum(len(build.executed) for build in builds) == 2
    assert validate_store(program.store) == []


def test_failure_of_one_builder_leaves_the_step_to_the_other(program: Program, tmp_path: Path) -> None:
    text = "FROM small\nRUN --mount=type=cache,target=/c sleep 1 && (test -e /c/mark || ! touch /c/mark)\n"
    contexts = [write_context(tmp_path / name, {"Dockerfile": text}) for name in ("one", "two")]
    builds = _build_at_once(program, contexts)
    assert sorted(build.exit_code for build in builds) == [0, 1], [build.printed for build in builds]


def test_independent_stages_of_one_build_run_at_the_same_time(program: Program, tmp_path: Path) -> None:
    meet = "RUN --mount=type=cache,target=/c touch /c/{mine} && until test -e /c/{other}; do sleep 0.1; done"
    text = (
        f"FROM small AS left\n{meet.format(mine='l', other='r')}\n"
        f"FROM small AS right\n{meet.format(mine='r', other='l')}\n"
        "FROM small\nCOPY --from=left /etc/motd /l\nCOPY --from=right /etc/motd /r\n"
    )
    context = write_context(tmp_path / "context", {"Dockerfile": text})
    assert len(program.build(context).executed) == 4
