"""The class of all commands, which reads flags as Go programs do, and the options that many commands have."""

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from pybuild.builder.cli.tools import session

_F = TypeVar("_F", bound=Callable[..., Any])


class Command(click.Command):
    """A command whose flags may have a value, ``--flag=true`` or ``--flag=false``, as in Go programs.

    click has no options with an optional value. Where a flag has other values as well, such as ``--pull=never``, they
    become those of a hidden option ``--pull-policy``. ``-D``, an option of the program, may also follow the name of
    the command.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.params.append(click.Option(["-D", "--debug"], is_flag=True, hidden=True, expose_value=False))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse *args*, in which ``--flag=true`` becomes ``--flag``, and ``--flag=false`` its opposite or nothing."""
        options = {name: option for option in _options(self) for name in (*option.opts, *option.secondary_opts)}
        plain: list[str] = []
        words = iter(args)
        for word in words:
            is_option = word.startswith("-") and word != "-"
            if word == "--" or not (is_option or ctx.allow_interspersed_args):
                # The rest is the command line of the program that this command runs.
                plain.append(word)
                plain.extend(words)
            else:
                plain.extend(_plain(word, options, ctx))
                # The value of an option may look like a flag.
                plain.extend(islice(words, _values_wanted(word, options)))
        try:
            return super().parse_args(ctx, list(plain))
        except click.NoSuchOption as error:
            raise _with_word(error, plain) from None
        except click.BadOptionUsage as error:
            error.ctx = error.ctx or ctx  # for the exit code: click does not say of which command the option is
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. A mistake that it finds itself has the exit code of docker in commands about containers."""
        from pybuild.builder.errors import RequestError

        try:
            return super().invoke(ctx)
        except RequestError as error:
            from pybuild.builder.cli.failures import FAILED, Described, Failure, describe, is_like_docker

            if not is_like_docker(ctx):
                raise
            raise Described(Failure(describe(error).text, FAILED)) from error


def _with_word(error: click.NoSuchOption, words: Iterable[str]) -> click.NoSuchOption:
    """Return *error* with the word in which an unknown letter was found: ``-no-cache``, which has one dash too few."""
    letter = error.option_name.removeprefix("-")
    group = next((word for word in words if re.match(r"-[^-=]{2}", word) and letter in word), "")
    if len(letter) != 1 or not group:
        return error
    return click.NoSuchOption(
        group.partition("=")[0], f"no such option {error.option_name!r} in {group!r}", ctx=error.ctx
    )


def _options(command: click.Command) -> list[click.Option]:
    return [option for option in command.params if isinstance(option, click.Option)]


def _plain(word: str, options: Mapping[str, click.Option], ctx: click.Context) -> Iterable[str]:
    """Return the words for click that mean the same as *word*."""
    name, equals, value = word.partition("=")
    if not equals or name not in options or not options[name].is_flag:
        return (word,)
    if f"{name}-policy" in options and not _is_boolean(value):
        return (f"{name}-policy={value}",)
    if _switched_on(options[name], value, ctx):
        return (name,)
    return {_opposite(name, options)} & options.keys()


def _values_wanted(word: str, options: Mapping[str, click.Option]) -> int:
    """Return the number of words after *word* that are its values."""
    if word.startswith("--"):
        return 0 if "=" in word or word not in options else _arity(options[word])
    # In a word of several short options, the first one with a value takes the rest of the word as its value.
    for at, letter in enumerate(word[1:], 2):
        option = options.get(f"-{letter}")
        if option is None or (arity := _arity(option)):
            return 0 if option is None or at < len(word) else arity
    return 0


def _arity(option: click.Option) -> int:
    return 0 if option.is_flag or option.count else option.nargs


def _opposite(name: str, options: Mapping[str, click.Option]) -> str:
    """Return the flag that switches *name* off, such as ``--no-pull``. Short names have none."""
    option = options[name]
    return (option.opts[-1] if name in option.opts else name).replace("--", "--no-", 1)


def _switched_on(option: click.Option, value: str, ctx: click.Context) -> bool:
    """Return the boolean of ``--flag=VALUE``. An invalid one is an error with the message of Go's package flag."""
    from pybuild.grammar.parse_go import parse_bool

    try:
        return parse_bool(value)
    except ValueError as error:
        text = f'invalid argument "{value}" for "{", ".join(option.opts)}" flag: {error}'
        raise click.BadOptionUsage(option.opts[0], text, ctx) from error


def _is_boolean(value: str) -> bool:
    from pybuild.grammar.parse_go import parse_bool

    try:
        parse_bool(value)
    except ValueError:
        return False
    return True


def root_option(function: _F) -> _F:
    """Add ``--root``, which may be given before or after the name of the command."""

    def keep(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> None:
        if value is not None:
            session().root = value

    return click.option(
        "--root",
        metavar="DIR",
        expose_value=False,
        callback=keep,
        help="Directory of the store (default: $PYBUILD_ROOT, else one for each user).",
    )(function)


def format_option(function: _F) -> _F:
    """Add ``--format``."""
    text = 'Print with "table", "json" or a Go template such as "{{.ID}}" (dotted fields, json, join, range, if, ...).'
    return click.option("--format", "template", metavar="FORMAT", help=text)(function)


def is_written(parameter: str) -> bool:
    """Return whether *parameter* was set on the command line, not by the environment or a default."""
    return click.get_current_context().get_parameter_source(parameter) is ParameterSource.COMMANDLINE
