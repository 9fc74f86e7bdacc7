import click
from click.testing import CliRunner

from pybuild.builder.cli.flags.group import group


def read(*, size: str | None, names: tuple[str, ...], unset: str = "") -> tuple[str | None, tuple[str, ...], str]:
    return size, names, unset


flags = group("made", read, click.option("--size"), click.option("--name", "names", multiple=True))


@click.command()
@click.option("--other")
@flags
def command(*, other: str | None, made: tuple[str | None, tuple[str, ...], str]) -> None:
    click.echo(repr((other, made)))


def output(*words: str) -> str:
    return CliRunner().invoke(command, words).output.strip()


def test_a_command_gets_what_the_function_makes_of_the_flags() -> None:
    assert output("--size", "1", "--name=a", "--name", "b", "--other=c") == "('c', ('1', ('a', 'b'), ''))"


def test_an_empty_value_is_none() -> None:
    assert output("--size=", "--name", "") == "(None, (None, (), ''))"


def test_help_has_the_flags_in_their_order() -> None:
    help_text = output("--help")
    assert help_text.index("--other") < help_text.index("--size") < help_text.index("--name")
