"""The time that SOURCE_DATE_EPOCH names is that of the image and of its files."""

import json
from datetime import UTC, datetime
from pathlib import Path

from tests.helpers.contexts import write_context
from tests.helpers.program import Program
from tests.helpers.repositories import MOMENT, Repository, daemon
from tests.helpers.web import MTIME, Answer, Web

TEXT = """
    ARG SOURCE_DATE_EPOCH=SRC
    FROM scratch AS src
    ADD {address} /
    FROM small
    ARG SOURCE_DATE_EPOCH
    RUN echo "$SOURCE_DATE_EPOCH" > /epoch
"""


def _created(program: Program) -> str:
    return str(json.loads(program.run("inspect", "built").stdout)[0]["Created"])


def test_a_stage_of_the_dockerfile_gives_the_time(program: Program, tmp_path: Path) -> None:
    with Web() as web:
        web.files["/x"] = b"x"
        context = write_context(tmp_path / "context", {"Dockerfile": TEXT.format(address=web.url("/x"))})
        program.build(context)
        assert _created(program) == "2009-02-13T23:31:30Z"
        assert program.run("run", "--rm", "built", "cat", "/epoch").stdout == f"{MTIME}\n"
        assert program.build(context).executed == []
        program.build(context, "--build-arg=SOURCE_DATE_EPOCH=86400")
    assert _created(program) == "1970-01-02T00:00:00Z"


def test_a_context_from_git_is_as_old_as_its_commit(program: Program, tmp_path: Path) -> None:
    Repository(tmp_path / "served").commit({"Dockerfile": "FROM small\nRUN echo x > /x\n"})
    with daemon(tmp_path / "served") as address:
        program.run("build", "--build-arg=SOURCE_DATE_EPOCH=context", "-t", "built", f"{address}/x.git")
    assert _created(program) == datetime.fromtimestamp(MOMENT, UTC).isoformat().replace("+00:00", "Z")


def test_what_gives_no_time_is_told_with_its_place(program: Program, tmp_path: Path) -> None:
    context = write_context(tmp_path / "context", {"Dockerfile": TEXT.format(address="local")})
    built = program.build(context, check=False)
    assert built.exit_code == 2
    assert "Dockerfile:3:5: SOURCE_DATE_EPOCH stage source must be a single HTTP(S) or Git ADD\n" in built.printed
    built = program.build(context, "--build-arg=SOURCE_DATE_EPOCH=nothing", check=False)
    assert (built.exit_code, "ERROR: invalid SOURCE_DATE_EPOCH: nothing\n" in built.printed) == (2, True)
    with Web() as web:
        web.answers["/x"] = Answer(status=404)
        context = write_context(tmp_path / "gone", {"Dockerfile": TEXT.format(address=web.url("/x"))})
        built = program.build(context, check=False)
    assert (built.exit_code, "status 404" in built.printed) == (1, True)
