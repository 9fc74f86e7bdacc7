"""The exit codes of failures of containers are those of docker."""

import pytest

from pybuild.builder.containers.errors import ContainerError, NameInUse, NoSuchContainer, NoTerminal, NotStarted
from pybuild.builder.errors import BuildError


@pytest.mark.parametrize(("code", "run"), [(127, 127), (126, 126), (128, 125), (1, 125)])
def test_run_passes_on_the_codes_for_missing_and_not_executable(code: int, run: int) -> None:
    assert NotStarted("exec failed", code).run_code == run


def test_a_terminal_that_is_missing_has_the_message_of_docker() -> None:
    error = NoTerminal()
    assert (str(error), error.hint, error.run_code) == ("the input device is not a TTY", "leave out -t", 1)


def test_all_are_errors_of_a_build_to_whoever_shows_them() -> None:
    for kind in (NoSuchContainer, NameInUse, NotStarted, NoTerminal):
        assert issubclass(kind, ContainerError)
        assert issubclass(kind, BuildError)
