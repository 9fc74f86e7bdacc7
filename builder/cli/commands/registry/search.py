"""``pybuild search``: the repositories of a registry."""

from collections.abc import Callable, Iterable

import click

from pybuild.builder.cli.command import Command, format_option
from pybuild.builder.cli.flags.access import access_options
from pybuild.builder.cli.flags.group import option, takes
from pybuild.builder.cli.format.listing import Row, listing
from pybuild.builder.cli.tools import note, say
from pybuild.builder.errors import RequestError
from pybuild.builder.oci.registry.access import Access
from pybuild.builder.oci.registry.registry import open_registry
from pybuild.builder.oci.registry.search import HUB, FoundRepository, search
from pybuild.builder.options import boolean
from pybuild.runtime.values import frozen

_HEADERS = {"Name": "NAME", "Description": "DESCRIPTION", "StarCount": "STARS", "IsOfficial": "OFFICIAL"}
_LIMITS = range(1, 101)
_LONGEST, _LONGEST_NUMBER = 45, 18


@frozen
class SearchFlags:
    """Which results are shown, and how."""

    filters: tuple[str, ...] = option(
        "-f", "--filter", empty=True, multiple=True, metavar="KEY=VALUE", help="stars=NUMBER, is-official=BOOL."
    )
    limit: int = option(
        "--limit", type=int, default=25, metavar="NUMBER", help="Maximum number of results, 1 to 100 (default: 25)."
    )
    no_trunc: bool = option("--no-trunc", is_flag=True, help="Do not truncate descriptions.")


@click.command("search", cls=Command)
@click.argument("term", metavar="[SERVER/]TERM")
@takes(SearchFlags, "flags")
@format_option
@access_options
def command(term: str, *, flags: SearchFlags, template: str | None, access: Access) -> None:
    """Search a registry (default: Docker Hub) for repositories, those with the most stars first.

    Of a registry without a search the catalog is read, and the names that contain TERM are shown.
    """
    passes = [_filter(item) for item in flags.filters]
    if flags.limit not in _LIMITS:
        raise RequestError(f"limit {flags.limit} is outside the range of [1, 100]")
    server, text = _split(term)
    with open_registry(server, access) as registry:
        found = search(registry, server, text, flags.limit)
        for warning in registry.warnings:
            note(warning)
    rows = [
        _row(server, each, whole=flags.no_trunc)
        for each in sorted(found, key=lambda each: -each.stars)
        if all(test(each) for test in passes)
    ]
    say(listing(rows, {**_HEADERS, "IsAutomated": "AUTOMATED"}, tuple(_HEADERS), template))


def _split(term: str) -> tuple[str, str]:
    """Return the server and the text to search for. As in references, a server has a dot or a port."""
    first, slash, rest = term.partition("/")
    is_server = bool(slash) and (first == "localhost" or bool({".", ":"} & set(first)))
    server, text = (first, rest) if is_server else (HUB, term)
    if "://" in term:
        raise RequestError(f"invalid repository name ({term}): may not contain a protocol scheme")
    return server, text.removeprefix("library/") if server == HUB else text


def _filter(item: str) -> Callable[[FoundRepository], bool]:
    """Return the test that ``--filter KEY=VALUE`` stands for. Raises RequestError."""
    key, mark, value = item.partition("=")
    match key if mark else "":
        case "stars":
            if not (value.isascii() and value.isdigit()) or len(value) > _LONGEST_NUMBER:
                raise RequestError(f"invalid filter 'stars={value}'", hint="give a number")
            least = int(value)
            return lambda found: found.stars >= least
        case "is-official" | "is-automated":
            wanted = boolean(key, value, "--filter")
            official = key == "is-official"
            return lambda found: (found.official if official else found.automated) is wanted
        case _:
            raise RequestError(f"invalid filter '{item}'", hint="use stars=, is-official= or is-automated=")


def _row(server: str, found: FoundRepository, *, whole: bool) -> Row:
    about = " ".join(_lines(found.description))
    prefix = "" if server == HUB or found.name.startswith(f"{server}/") else f"{server}/"
    return {
        "Name": f"{prefix}{found.name}",
        "Description": about if whole or len(about) <= _LONGEST else f"{about[: _LONGEST - 1]}…",
        "StarCount": str(found.stars),
        "IsOfficial": "[OK]" if found.official else "",
        "IsAutomated": "[OK]" if found.automated else "",
    }


def _lines(text: str) -> Iterable[str]:
    """Return the lines of a description, which may end with any of the usual line ends."""
    return (line for line in text.replace("\r", "\n").split("\n") if line)
