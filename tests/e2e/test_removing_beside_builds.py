"""``rmi`` and ``prune`` beside a build: they wait for nothing, and take nothing that the build needs."""

from pathlib import Path

from pybuild.builder.oci.validate import validate_store
from tests.helpers.contexts import write_context
from tests.helpers.program import Program, build_arguments, built


def test_removing_waits_for_no_build_and_takes_nothing_from_it(program: Program, tmp_path: Path) -> None:
    program.run("tag", "small", "other")
    unused = write_context(tmp_path / "unused", {"Dockerfile": "FROM scratch\nCOPY Dockerfile /unused\n"})
    program.run("build", "-q", "-t", "unused", str(unused))
    text = (
        "FROM other\nRUN echo one > /one\nRUN echo ready && until test -e /go/on; do sleep 0.1; done\n"
        "RUN cat /one > /two\nCOPY Dockerfile /three\n"
    )
    context = write_context(tmp_path / "context", {"Dockerfile": text})
    (tmp_path / "go").mkdir()
    process = program.start(*build_arguments(context), "--volume", f"{tmp_path}/go:/go:ro")
    assert process.stderr is not None
    printed = ""
    while not printed.endswith(" ready\n"):
        line = process.stderr.readline()
        assert line, printed
        printed += line
    # Each of these ends while the build runs, or the test never does.
    program.run("rmi", "unused", "other", "small")
    program.run("prune", "-af")
    assert program.run("images", "-q").stdout == ""
    (tmp_path / "go" / "on").touch()
    rest = process.communicate()[1]
    assert built(process.returncode, printed + rest).exit_code == 0, printed + rest
    assert validate_store(program.store) == []
    assert program.run("run", "--rm", "built", "cat", "/two").stdout == "one\n"
