"""Reading the Dockerfile: where it is, and its bytes as text."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pybuild.builder.content.context import open_context
from pybuild.builder.errors import BuildError, RequestError
from pybuild.builder.request import Files
from pybuild.grammar.errors import DockerfileError
from pybuild.runtime.errors import UnsafePathError

if TYPE_CHECKING:
    from pybuild.grammar.nodes import Dockerfile
    from pybuild.grammar.source import Source

LIMIT = 16 << 20
"""A longer file is not a Dockerfile."""
DEFAULT_NAMES = ("Dockerfile", "dockerfile")


@dataclass(frozen=True, slots=True)
class DockerfileText:
    """A Dockerfile: its text, its parsed form, and its name for messages."""

    name: str
    text: str
    _parsed: "list[tuple[Dockerfile, DockerfileError | None]]" = field(default_factory=list, compare=False, repr=False)

    @property
    def source(self) -> "Source":
        """The text as a `Source`, which spans refer to."""
        from pybuild.grammar.source import Source

        return Source(self.name, self.text)

    def prefix(self) -> "tuple[Dockerfile, DockerfileError | None]":
        """Return the part that can be parsed, and the mistake that ends it, if any. The text is parsed once."""
        if not self._parsed:
            from pybuild.grammar.dockerfile.parser import parse_prefix

            self._parsed.append(parse_prefix(self.source))
        return self._parsed[0]

    def parsed(self) -> "Dockerfile":
        """Return the whole file. Raises DockerfileError."""
        dockerfile, mistake = self.prefix()
        if mistake is not None:
            raise mistake
        return dockerfile

    @contextmanager
    def located(self) -> Iterator[None]:
        """Add the text of the Dockerfile to failures that leave the block."""
        try:
            yield
        except (BuildError, DockerfileError) as error:
            error.source = error.source or self.source
            raise


def read_dockerfile(files: Files) -> DockerfileText:
    """Read the Dockerfile: the named one, else ``Dockerfile`` or ``dockerfile`` in the context.

    Raises:
        RequestError: it does not exist or cannot be read.
    """
    if files.dockerfile is not None:
        try:
            with files.dockerfile.open("rb") as file:
                content = file.read(LIMIT + 1)
        except OSError as error:
            reason = os.strerror(error.errno or 0).lower()
            raise RequestError(f"failed to read dockerfile: open {files.dockerfile}: {reason}") from error
        if len(content) > LIMIT:
            raise RequestError(f"failed to read dockerfile: {files.dockerfile}: longer than {LIMIT} bytes")
        return decoded(files.dockerfile.name, content)
    if isinstance(files.context, str):
        raise RequestError(f"the context {files.context} is remote: only a build reads its Dockerfile")
    return _from_context(files.context)


def _from_context(context: Path) -> DockerfileText:
    with open_context(context) as root:
        for name in DEFAULT_NAMES:
            try:
                content = root.read_file(name, LIMIT)
            except UnsafePathError as error:
                raise RequestError(f"failed to read dockerfile: {error}") from error
            if content is not None:
                return decoded(name, content)
    raise no_dockerfile(context, str(context), context)


def no_dockerfile(context: Path, where: str, base: Path) -> RequestError:
    """Return the failure of a context without a Dockerfile. *where* names it, and -f means a path below *base*."""
    other = "Containerfile"
    meant = f"there is a {other}: give it with -f {base / other}" if (context / other).is_file() else ""
    return RequestError(
        "failed to read dockerfile: open Dockerfile: no such file or directory",
        hint=meant or f"there is no Dockerfile in {where}; name another one with -f",
    )


def decoded(name: str, content: bytes) -> DockerfileText:
    """Return the text of a Dockerfile; comments may be in any encoding. Raises RequestError when it is not UTF-8."""
    try:
        return DockerfileText(name, content.decode())
    except UnicodeDecodeError:
        rows = content.split(b"\n")
        return DockerfileText(name, "\n".join(_row(name, number, row) for number, row in enumerate(rows, 1)))


def _row(name: str, number: int, row: bytes) -> str:
    try:
        return row.decode(errors="replace" if row.lstrip().startswith(b"#") else "strict")
    except UnicodeDecodeError as error:
        hint = "save it as UTF-8; only comments may be in another encoding"
        raise RequestError(f"{name}:{number}: the Dockerfile is not valid UTF-8", hint=hint) from error
