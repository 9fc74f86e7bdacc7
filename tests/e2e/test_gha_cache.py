"""``type=gha`` through the command line, against a service that speaks as the real one does."""

from pathlib import Path

import pytest

from pybuild.builder.oci.validate import validate_store
from tests.helpers.contexts import write_context
from tests.helpers.gha_server import GhaServer
from tests.helpers.hosts import need_small_base
from tests.helpers.program import Program

TEXT = """
    FROM small AS made
    RUN echo made > /made
    FROM small
    COPY --from=made /made /
    RUN --mount=type=cache,id=c,target=/c echo one >> /c/f && cat /c/f > /seen
"""


def in_a_job(store: Path, server: GhaServer, version: int) -> Program:
    program = Program(store=store, variables=server.environment(version))
    program.import_tar(need_small_base(), "small")
    return program


@pytest.mark.parametrize("version", [1, 2])
def test_the_next_job_executes_nothing(tmp_path: Path, version: int) -> None:
    context = write_context(tmp_path / "context", {"Dockerfile": TEXT})
    flags = ("--cache-from=type=gha,scope=app", "--cache-to=type=gha,scope=app,mode=max,mounts=true")
    with GhaServer() as server:
        first = in_a_job(tmp_path / "first", server, version).build(context, *flags)
        assert "failed to import cache GitHub Actions Cache, scope app: no cache of this scope" in first.printed
        assert len(first.executed) == 3
        second = in_a_job(tmp_path / "second", server, version)
        assert second.build(context, *flags).executed == []
        (context / "Dockerfile").write_text((context / "Dockerfile").read_text().replace("echo one", "echo two"))
        third = in_a_job(tmp_path / "third", server, version)
        assert len(third.build(context, *flags).executed) == 1
        assert third.run("run", "built", "cat", "/seen").stdout == "one\ntwo\n"
    for program in (second, third):
        assert validate_store(program.store) == []


def test_outside_of_a_job_the_build_goes_on_with_a_warning(program: Program, tmp_path: Path) -> None:
    context = write_context(tmp_path / "context", {"Dockerfile": TEXT})
    done = program.build(context, "--cache-from=type=gha", "--cache-to=type=gha,mode=max")
    assert "no cache service: ACTIONS" in done.printed
    assert "no cache is written, because this is not a job of GitHub Actions" in done.printed


def test_a_service_that_fails_fails_the_build_unless_it_may_be_ignored(tmp_path: Path) -> None:
    context = write_context(tmp_path / "context", {"Dockerfile": TEXT})
    with GhaServer() as server:
        program = in_a_job(tmp_path / "store", server, 2)
        server.failures = [403]
        failed = program.build(context, "--cache-to=type=gha", check=False)
        assert failed.exit_code == 5
        assert "failed to export cache to GitHub Actions Cache" in failed.printed
        server.failures = [403]
        assert "failed to export cache" in program.build(context, "--cache-to=type=gha,ignore-error=true").printed
