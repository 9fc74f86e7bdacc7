import click
from click.testing import CliRunner

from pybuild.builder.cli.flags.group import argument, flags_given, option, part, takes
from pybuild.runtime.values import frozen


@frozen
class SizeFlags:
    size: str | None = option("--size")
    names: tuple[str, ...] = option("-n", "--name", multiple=True)
    label: str | None = option("--label", empty=True)
    deep: bool = option("--deep", is_flag=True)
    speed: int = option("--speed", type=int, default=3)


@frozen
class MakeFlags:
    place: str = argument(metavar="PLACE")
    sizes: SizeFlags = part(SizeFlags)


@click.command()
@click.option("--other")
@takes(MakeFlags, "made")
def command(*, other: str | None, made: MakeFlags) -> None:
    click.echo(repr((other, made.place, made.sizes)))


@click.command()
@takes(SizeFlags, "length", lambda flags: len(flags.names))
def counting(*, length: int) -> None:
    click.echo(length)


def output(*words: str) -> str:
    return CliRunner().invoke(command, words).output.strip()


def test_a_command_gets_the_value_of_its_flags() -> None:
    sizes = SizeFlags(size="1", names=("a", "b"), deep=True, speed=7)
    found = output("--size", "1", "--name=a", "-n", "b", "--deep", "--speed=7", "--other=c", "here")
    assert found == repr(("c", "here", sizes))


def test_a_flag_that_is_not_given_is_the_default_of_its_field() -> None:
    assert output("x") == repr((None, "x", SizeFlags()))
    assert SizeFlags() == SizeFlags(size=None, names=(), label=None, deep=False, speed=3)


def test_an_empty_value_is_none_unless_it_means_something() -> None:
    assert output("--size=", "--name", "", "--label=", "x") == repr((None, "x", SizeFlags(label="")))


def test_a_command_may_get_what_is_made_of_the_flags() -> None:
    assert CliRunner().invoke(counting, ["-n", "a", "-n", "b"]).output == "2\n"


def test_help_has_the_flags_in_their_order() -> None:
    help_text = output("--help")
    found = [help_text.index(word) for word in ("PLACE", "--other", "--size", "--name", "--label", "--deep")]
    assert found == sorted(found)


def test_the_flags_that_are_given_are_those_with_another_value() -> None:
    nothing = {"size": None, "names": (), "label": None, "deep": False, "speed": 3}
    assert list(flags_given(MakeFlags(place="x", sizes=SizeFlags(**nothing)))) == ["place"]
    given = SizeFlags(size=None, names=("a",), label="", deep=True, speed=4)
    assert list(flags_given(given)) == ["names", "label", "deep", "speed"]
