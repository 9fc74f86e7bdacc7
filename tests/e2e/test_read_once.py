"""Files of the user that can be read once, as those of the shell's ``<(...)``, and ignore files that hide nothing."""

import subprocess
from pathlib import Path

import pytest

from tests.helpers.contexts import write_context
from tests.helpers.program import Built, Program, build_arguments, built


@pytest.fixture
def context(tmp_path: Path) -> Path:
    text = "FROM small\nCOPY . /all/\nRUN ls -A /all >&2\n"
    return write_context(tmp_path / "context", {"Dockerfile": text, "shown": "s\n", "hidden": "h\n"})


def with_pipes(program: Program, context: Path, options: str) -> Built:
    """Build with *options*, words of bash."""
    words = program.command(*build_arguments(context))
    done = subprocess.run(
        ["bash", "-c", f'"$@" {options}', "bash", *words],
        env=program.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return built(done.returncode, done.stderr)


def test_an_ignore_file_of_a_pipe_hides_what_it_names(program: Program, context: Path) -> None:
    found = with_pipes(program, context, "--ignorefile <(echo hidden)")
    assert found.exit_code == 0, found.printed
    assert "shown" in found.steps[-2].output + found.printed
    assert "hidden" not in found.printed


def test_a_secret_of_a_pipe_is_there_for_every_step(program: Program, context: Path) -> None:
    step = 'RUN --mount=type=secret,id=s test "$(cat /run/secrets/s)" = "the secret"'
    (context / "Dockerfile").write_text(
        f'FROM small\n{step}\n{step} # again\nRUN --mount=type=secret,id=s,env=S test -n "$S"\n'
    )
    for source in ("<(echo the secret)", "/dev/stdin < <(echo the secret)"):
        found = with_pipes(program, context, f"--no-cache --secret id=s,src={source}")
        assert found.exit_code == 0, found.printed


def test_an_ignore_file_that_hides_nothing_is_told(program: Program, context: Path, tmp_path: Path) -> None:
    path = context / ".dockerignore"
    path.symlink_to("missing")
    assert " - .dockerignore is a symlink to missing, which does not exist" in program.build(context).printed
    path.unlink()
    (tmp_path / "rules").write_text("hidden\n")
    path.symlink_to("../rules")
    told = " - .dockerignore is a symlink out of the context, to ../rules, and is not followed: it excludes nothing"
    assert told in program.build(context).printed
    # Nothing has changed: it is told again.
    assert told in program.build(context).printed
    path.unlink()
    path.write_text("hidden\n", encoding="utf-16")
    assert " - .dockerignore is UTF-16, so none of its lines excludes anything" in program.build(context).printed
    path.unlink()
    (context / "rules").write_text("hidden\n")
    path.symlink_to("rules")
    assert "excludes" not in program.build(context).printed


def test_so_are_those_of_other_contexts_and_of_a_dockerfile(program: Program, context: Path, tmp_path: Path) -> None:
    other = write_context(tmp_path / "other", {"x": "x\n"})
    (other / ".dockerignore").symlink_to("missing")
    (context / "Dockerfile.dockerignore").write_text("hidden\n", encoding="utf-16")
    printed = program.build(context, "--build-context", f"other={other}").printed
    assert " - context other: .dockerignore is a symlink to missing, which does not exist" in printed
    assert " - Dockerfile.dockerignore is UTF-16" in printed


def test_what_is_nearly_json_or_a_flag_is_told_by_builds_and_checks(program: Program, context: Path) -> None:
    text = (
        "FROM small\nVOLUME ['/a', '/b']\nCMD ['x', 'y']\nRUN [“ls”, “-l”] || true\nRUN true\n"
        "USER “u”\nENTRYPOINT [a, b]\nLABEL a=“b”\n"
    )
    (context / "Dockerfile").write_text(text, encoding="utf-8")
    built_printed = program.build(context, check=False).printed
    checked = program.run("build", "--check", str(context), check=False)
    wanted = ('write VOLUME ["/a", "/b"]', 'write CMD ["x", "y"]', "write USER u", 'write LABEL a="..."')
    for message in wanted:
        assert message.replace("LABEL ", "") in built_printed
        assert message.replace("LABEL ", "") in checked.stdout + checked.stderr
    assert 'hint: write CMD ["x", "y"]' in checked.stdout
    assert 'hint: write ENTRYPOINT ["a", "b"]' in checked.stdout
    assert "/bin/sh" not in checked.stdout
