"""What the builder's errors say, and where in the Dockerfile."""

import errno

import pytest

from pybuild.builder.errors import BuildError, StepFailed, reason
from pybuild.grammar.source import Source, Span

_SOURCE = Source("Dockerfile", "FROM x\nRUN make\n")


def test_a_place_needs_a_span_and_the_text() -> None:
    error = BuildError("no", span=Span(11, 15))
    assert error.location == ""
    error.source = _SOURCE
    assert error.location == "Dockerfile:2:5"
    other = BuildError("no")
    other.source = _SOURCE
    assert other.location == ""


def test_the_place_of_a_step_is_its_line() -> None:
    error = StepFailed("no", step="RUN make", lines=(2, 3))
    assert error.location == ""
    error.source = _SOURCE
    assert error.location == "Dockerfile:2"
    own = StepFailed("no", step="", lines=(0, 0))
    own.source = _SOURCE
    assert own.location == ""


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("text"), "text"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "a"), "a: no such file or directory"),
        (
            FileNotFoundError(errno.ENOENT, "No such file or directory", "a", None, "b"),
            "a b: no such file or directory",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), "no space left on device"),
    ],
)
def test_a_reason_has_files_but_no_number(error: BaseException, text: str) -> None:
    assert reason(error) == text
