"""The texts and exit codes of failures."""

import errno
from pathlib import Path

import click
import pytest

from pybuild.builder.cli.failures import (
    BUG,
    FAILED,
    HOST,
    INTERRUPTED,
    PULL,
    PUSH,
    USAGE,
    Described,
    Failure,
    describe,
    described,
)
from pybuild.builder.errors import (
    BuildError,
    Cancelled,
    LoadFailed,
    PullFailed,
    PushFailed,
    RequestError,
    ResolveError,
    StepFailed,
    StoreError,
)
from pybuild.builder.oci.errors import RegistryError
from pybuild.grammar.source import Source, Span
from pybuild.runtime.errors import RuntimeHostError, UnsafePathError


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


def step() -> StepFailed:
    return StepFailed("no", step="RUN x", lines=(1, 1))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RequestError("no"), USAGE),
        (ResolveError("no"), USAGE),
        (BuildError("no"), FAILED),
        (step(), FAILED),
        (PullFailed("no"), PULL),
        (RegistryError("no"), PULL),
        (PushFailed("no"), PUSH),
        (LoadFailed("no"), HOST),
        (StoreError("no"), HOST),
        (RuntimeHostError("no"), HOST),
        (caused(step(), PullFailed("no")), PULL),
        (caused(step(), RuntimeHostError("no")), HOST),
        (caused(step(), UnsafePathError("no")), FAILED),
        (caused(step(), RequestError("no")), USAGE),
        (caused(BuildError("no"), OSError(errno.ENOSPC, "full")), HOST),
        (caused(BuildError("no"), OSError(errno.EROFS, "read-only")), HOST),
        (caused(BuildError("no"), OSError(errno.ENOENT, "missing")), FAILED),
        (Cancelled("no"), INTERRUPTED),
        (KeyboardInterrupt(), INTERRUPTED),
        (click.Abort(), INTERRUPTED),
        (FileNotFoundError(errno.ENOENT, "missing", "f"), HOST),
        (MemoryError(), HOST),
        (ZeroDivisionError("x"), BUG),
    ],
)
def test_the_exit_code_tells_which_side_failed(error: BaseException, code: int) -> None:
    assert describe(error).exit_code == code


def test_a_closed_pipe_is_not_reported() -> None:
    assert describe(BrokenPipeError()) == Failure("", FAILED)


def test_a_failure_that_has_its_text_keeps_it() -> None:
    failure = Failure("text", 9)
    assert describe(Described(failure)) is failure


def test_an_unexpected_error_has_a_traceback_only_when_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYBUILD_DEBUG", raising=False)
    error = ZeroDivisionError("x")
    assert "pybuild has a bug: ZeroDivisionError: x" in describe(error).text
    assert "direct cause" in describe(caused(error, ValueError("y")), debug=True).text
    for value, wanted in (("1", True), ("false", False), ("maybe", True), ("", False)):
        monkeypatch.setenv("PYBUILD_DEBUG", value)
        assert ("ZeroDivisionError: x\n" in describe(error).text and "bug" not in describe(error).text) is wanted


def test_an_unknown_option_has_the_nearest_one_as_a_hint() -> None:
    command = click.Command("x", params=[click.Option(["--platform"]), click.Option(["-q", "--quiet"])])
    context = click.Context(command, info_name="x")
    near = describe(click.NoSuchOption("--platfrom", ctx=context)).text
    assert "did you mean --platform?" in near
    far = describe(click.NoSuchOption("-z", ctx=context)).text
    assert "did you mean" not in far
    assert "see 'x --help'" in far


def test_the_failure_of_a_build_shows_its_place_when_the_text_is_known() -> None:
    error = ResolveError("bad", span=Span(7, 12))
    assert "Dockerfile" not in described(error).failure.text
    error.source = Source("Dockerfile", "FROM x\nSTEP y\n")
    failure = described(error).failure
    assert failure.exit_code == USAGE
    assert "Dockerfile:2" in failure.text
    assert "STEP y" in failure.text


def test_in_a_directory_that_was_removed_the_failure_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(FileNotFoundError) as caught:
        Path("x").absolute()
    assert describe(caught.value).text.startswith("ERROR: the current directory no longer exists\nhint: ")
    monkeypatch.chdir(tmp_path)
    assert "directory no longer" not in describe(FileNotFoundError(2, "No such file")).text


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RuntimeError("can't start new thread"), "no thread can be started"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "resource temporarily unavailable"),
    ],
)
def test_a_limit_of_processes_is_not_a_bug(error: BaseException, text: str) -> None:
    failure = describe(error)

    assert failure.exit_code == HOST
    assert failure.text.startswith(f"ERROR: {text}\nhint: raise the limit of processes and threads")
