"""A Dockerfile that is no file of the user's: from the web, from standard input, from a context that is elsewhere."""

import io
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers.contexts import write_context
from tests.helpers.program import Program
from tests.helpers.repositories import Repository, daemon
from tests.helpers.web import Answer, Web

BROKEN = "FROM small\nCOPPY a /a\n"
EXCERPT = "Dockerfile:2:1: unknown instruction: COPPY\nCOPPY a /a\n~~~~^\n"
FAILING = "FROM small\nRUN exit 7\n"
FAILED = "Dockerfile:2\n--------------------\n   1 |     FROM small\n   2 | >>> RUN exit 7\n"


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as server:
        yield server


@pytest.fixture
def context(tmp_path: Path) -> Path:
    return write_context(tmp_path / "context", {"a": "of the context\n", "b": "b\n", ".dockerignore": "b\n"})


def archive(text: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        member = tarfile.TarInfo("Dockerfile")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text.encode()))
    return stream.getvalue()


def test_a_dockerfile_of_the_web_is_built_with_the_context_that_is_named(
    program: Program, web: Web, context: Path
) -> None:
    web.files["/make.df"] = b"FROM small\nCOPY . /c/\n"
    web.answers["/Dockerfile"] = Answer(status=302, headers={"Location": "/make.df"})
    program.build(context, "-f", web.url("/Dockerfile"))
    assert program.run("run", "--rm", "built", "ls", "-A", "/c").stdout.split() == [".dockerignore", "a"]


def test_a_dockerfile_of_the_web_is_fetched_again_only_when_it_changed(
    program: Program, web: Web, context: Path
) -> None:
    web.files["/x/Dockerfile"] = b"FROM small\nCOPY a /a\n"
    program.build(context, "-f", web.url("/x/Dockerfile"))
    assert program.build(context, "-f", web.url("/x/Dockerfile")).executed == []
    assert [asked.headers.get("If-None-Match") is None for asked in web.requests] == [True, False]


@pytest.mark.parametrize(
    ("path", "answer", "message"),
    [
        ("/absent", Answer(status=404), "status 404"),
        ("/long", Answer(body=b"#" * ((16 << 20) + 1)), "more than the 16777216"),
        ("/inside", Answer(status=302, headers={"Location": "http://169.254.169.254/x"}), "a private network"),
        ("/x.git", Answer(status=404), "is a git repository"),
    ],
)
def test_what_is_no_dockerfile_of_the_web_is_refused(
    program: Program, web: Web, context: Path, path: str, answer: Answer, message: str
) -> None:
    web.answers[path] = answer
    built = program.build(context, "-f", web.url(path), check=False)
    assert built.exit_code in {1, 2}
    assert message in built.printed
    assert "Traceback" not in built.printed


def test_checks_and_calls_read_a_dockerfile_of_the_web(program: Program, web: Web, context: Path) -> None:
    web.files["/Dockerfile"] = b"FROM scratch AS first\nFROM small as second\n"
    address = web.url("/Dockerfile")
    assert "second" in program.run("build", "--call=targets", "-f", address, str(context)).stdout
    assert "FromAsCasing" in program.run("build", "--check", "-f", address, str(context), check=False).stdout


def _from_the_web(program: Program, text: str, directory: Path) -> str:
    with Web() as web:
        web.files["/Dockerfile"] = text.encode()
        return program.build(directory, "-f", web.url("/Dockerfile"), check=False).printed


def _from_an_archive(program: Program, text: str, _directory: Path) -> str:
    with Web() as web:
        web.files["/context.tar.gz"] = archive(text)
        return program.run("build", "--progress=plain", web.url("/context.tar.gz"), check=False).stderr


def _from_git(program: Program, text: str, directory: Path) -> str:
    Repository(directory / "served").commit({"Dockerfile": text})
    with daemon(directory / "served") as address:
        return program.run("build", "--progress=plain", f"{address}/x.git", check=False).stderr


def _from_standard_input(program: Program, text: str, directory: Path) -> str:
    (directory / "given").write_text(text)
    with (directory / "given").open() as stdin:
        return program.run("build", "--progress=plain", "-f", "-", str(directory), stdin=stdin, check=False).stderr


def _from_an_archive_on_standard_input(program: Program, text: str, directory: Path) -> str:
    (directory / "given").write_bytes(archive(text))
    with (directory / "given").open("rb") as stdin:
        return program.run("build", "--progress=plain", "-", stdin=stdin, check=False).stderr


@pytest.mark.parametrize(
    "printed",
    [_from_the_web, _from_an_archive, _from_git, _from_standard_input, _from_an_archive_on_standard_input],
)
def test_mistakes_and_failed_steps_show_their_lines_wherever_they_come_from(
    program: Program, tmp_path: Path, printed: Callable[[Program, str, Path], str]
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    assert EXCERPT in printed(program, BROKEN, tmp_path / "one")
    assert FAILED in printed(program, FAILING, tmp_path / "two")


def test_a_call_reads_the_dockerfile_of_a_context_that_is_elsewhere(program: Program, web: Web) -> None:
    web.files["/context.tar.gz"] = archive("FROM scratch AS first\nFROM small as second\n")
    address = web.url("/context.tar.gz")
    assert "second" in program.run("build", "--call=targets", address).stdout
    found = program.run("build", "--check", address, check=False)
    assert (found.returncode, "FromAsCasing" in found.stdout) == (1, True)
    web.files["/context.tar.gz"] = archive(BROKEN)
    assert EXCERPT in program.run("build", "--check", address, check=False).stderr


def test_a_dockerfile_from_standard_input_goes_with_a_context_that_is_elsewhere(
    program: Program, tmp_path: Path
) -> None:
    Repository(tmp_path / "served").commit({"Dockerfile": BROKEN, "file": "of the repository\n"})
    (tmp_path / "given").write_text("FROM small\nCOPY file /\n")
    with daemon(tmp_path / "served") as address, (tmp_path / "given").open() as stdin:
        program.run("build", "-f", "-", "-t", "built", f"{address}/x.git", stdin=stdin)
    assert program.run("run", "--rm", "built", "cat", "/file").stdout == "of the repository\n"


def test_both_definition_and_context_from_standard_input_are_refused(program: Program) -> None:
    refused = program.run("build", "-f", "-", "-", stdin=subprocess.DEVNULL, check=False)
    assert (refused.returncode, "can't use stdin for both" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Containerfile", "there is a Containerfile: give it with -f Containerfile"),
        ("file", "there is no Dockerfile in the archive; name another one with -f"),
    ],
)
def test_an_archive_on_standard_input_without_a_dockerfile_is_told_as_that(
    program: Program, tmp_path: Path, name: str, hint: str
) -> None:
    with tarfile.open(tmp_path / "given", "w") as tar:
        tar.addfile(tarfile.TarInfo(name))
    with (tmp_path / "given").open("rb") as stdin:
        refused = program.run("build", "-", stdin=stdin, check=False)
    reason = "failed to read dockerfile: open Dockerfile: no such file or directory"
    assert (refused.returncode, refused.stderr) == (2, f"ERROR: {reason}\nhint: {hint}\n")
