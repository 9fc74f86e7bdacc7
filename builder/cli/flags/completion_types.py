"""Types of command-line words that a shell can complete: images, stages, directories and Dockerfiles."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_STAGE = r"(?aim)^\s*FROM\s.*\sAS\s+(\S+)"


class _Text(click.ParamType):  # type: ignore[type-arg] # click 8.1 knows no arguments
    """A text without conversion."""

    name = "text"

    def convert(self, value: Any, _param: click.Parameter | None, _ctx: click.Context | None) -> Any:
        """Return *value*."""
        return value


class _Place(_Text):
    def __init__(self, kind: str) -> None:
        self._kind = kind

    def shell_complete(self, _ctx: click.Context, _param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
        """Let the shell look for files, or for directories."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type=self._kind)]


class _Image(_Text):
    def shell_complete(self, ctx: click.Context, _param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
        """Return the names in the store that begin with *incomplete*."""
        return _beginning(incomplete, _names(ctx))


class _Stage(_Text):
    def shell_complete(self, ctx: click.Context, _param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
        """Return the stages of the Dockerfile that the command line names so far."""
        given = ctx.params.get("file")
        # click stops at an option that has no value yet; arguments that it has not assigned are in ctx.args then.
        context = ctx.params.get("context") or next(iter(ctx.args), ".")
        path = Path(given) if given else Path(context) / "Dockerfile"
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:  # no such Dockerfile: there is nothing to complete
            return []
        return _beginning(incomplete, dict.fromkeys(re.findall(_STAGE, text)))


FILE, DIRECTORY = _Place("file"), _Place("dir")
IMAGE, STAGE = _Image(), _Stage()


def _beginning(incomplete: str, words: Iterable[str]) -> "list[CompletionItem]":
    from click.shell_completion import CompletionItem

    return [CompletionItem(word) for word in words if word.startswith(incomplete)]


def _names(ctx: click.Context) -> list[str]:
    from pybuild.builder.cli.tools import session
    from pybuild.builder.image.catalog import familiar
    from pybuild.builder.oci.errors import OciError
    from pybuild.builder.oci.layout import Layout
    from pybuild.builder.store.directory import default_root

    root = ctx.find_root().params.get("root") or session().root
    try:
        entries = Layout(Path(root) if root else default_root()).entries()
    except (OSError, RuntimeError, OciError):
        return []  # a completion must not print errors
    return sorted({familiar(name) for name, _ in entries if name})
