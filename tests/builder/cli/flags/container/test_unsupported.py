"""Flags of ``docker run`` that cannot be kept."""

import click
import pytest
from click.testing import CliRunner

from pybuild.builder.cli.failures import Described
from pybuild.builder.cli.flags.container.unsupported import add_unsupported_container_flags


@click.command()
@add_unsupported_container_flags
def command() -> None:
    click.echo("done")


def test_a_flag_without_effect_is_a_warning() -> None:
    done = CliRunner().invoke(command, ["--cpu-count", "2"])
    assert (done.exit_code, done.output) == (0, "WARNING: --cpu-count is not kept: it is about Windows\ndone\n")


@pytest.mark.parametrize("words", [["--link-local-ip", "::1"], ["--runtime", "kata"], ["--storage-opt", "size=1g"]])
def test_a_flag_that_cannot_be_kept_is_refused_by_name(words: list[str]) -> None:
    with pytest.raises(Described, match=f"^ERROR: {words[0]} {words[1]} is not supported: ") as caught:
        CliRunner().invoke(command, words, catch_exceptions=False)
    assert caught.value.failure.exit_code == 125


@pytest.mark.parametrize("words", [["--runtime", "runc"], ["--link-local-ip", ""], ["--disable-content-trust"]])
def test_what_changes_nothing_is_accepted(words: list[str]) -> None:
    assert CliRunner().invoke(command, words).output == "done\n"
