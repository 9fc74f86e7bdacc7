"""Flags of other builders that pybuild does not support."""

import click
import pytest

from pybuild.builder.cli.flags.unsupported import add_unsupported_flags
from pybuild.builder.errors import RequestError


@click.command()
@add_unsupported_flags
def _command() -> None:
    pass


def called(*words: str) -> None:
    _command.main(list(words), standalone_mode=False)


@pytest.mark.parametrize("words", [("--rm",), ("--no-trunc",), ("--runtime", "runc"), ("--pid=host",)])
def test_what_changes_nothing_in_the_image_is_a_warning(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    called(*words)
    assert capsys.readouterr().err == f"WARNING: {words[0].partition('=')[0]} has no effect in pybuild\n"


@pytest.mark.parametrize("word", ["--sbom=true", "--attest=type=sbom", "--provenance=mode=max", "--policy=x"])
def test_what_would_change_the_image_is_an_error(word: str) -> None:
    with pytest.raises(RequestError, match="not supported") as caught:
        called(word)
    assert str(caught.value).startswith(word.partition("=")[0])


@pytest.mark.parametrize(
    "word",
    [
        *("--provenance=false", "--sbom=0", "--provenance=", "--provenance=mode=disabled", "--attest=disabled=true"),
        *(
            "--attest=type=provenance,disabled=true",
            "--attest=type=sbom, Disabled=1",
            "--provenance=mode=max,disabled=t",
        ),
    ],
)
def test_what_asks_for_the_default_is_accepted(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    called(word)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("word", ["--attest=disabled=false", "--attest=type=sbom,disabled=0", "--attest=type=disabled"])
def test_an_attestation_that_is_not_disabled_is_an_error(word: str) -> None:
    with pytest.raises(RequestError):
        called(word)


def test_an_empty_value_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    called("--runtime", "", "--uts=")
    assert capsys.readouterr().err == ""
