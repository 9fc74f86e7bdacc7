"""Reading the Dockerfile: where it is, and its bytes as text."""

from pathlib import Path

from pybuild.builder.content.context import ignore_text, open_context
from pybuild.builder.errors import RequestError
from pybuild.builder.plan.plan import Definition
from pybuild.builder.request import Files
from pybuild.grammar import MAX_TEXT
from pybuild.runtime.errors import UnsafePathError, kernel_reason
from pybuild.runtime.values import replace

LIMIT = 4 * MAX_TEXT
"""The most bytes that are read of a Dockerfile: a character has up to four in UTF-8."""
DEFAULT_NAMES = ("Dockerfile", "dockerfile")


def with_surroundings(dockerfile: Definition, files: Files, ignored: str) -> Definition:
    """Return *dockerfile* with the address and the named contexts of *files*; *ignored* is the ignore file's text."""
    address = files.context if isinstance(files.context, str) else ""
    return replace(dockerfile, ignored=ignored, address=address, contexts=files.contexts)


def read_ignore_text(files: Files) -> str:
    """Return the text of the ignore file of the context, "" for none and for a remote context. Raises RequestError."""
    if not isinstance(files.context, Path):
        return ""
    with open_context(files.context) as root:
        file = ignore_text(root, files)
        return file[1] if file else ""


def read_dockerfile(files: Files) -> Definition:
    """Read the Dockerfile: the named one, else ``Dockerfile`` or ``dockerfile`` in the context.

    Raises:
        RequestError: it does not exist or cannot be read.
    """
    if files.dockerfile is not None:
        try:
            with files.dockerfile.open("rb") as file:
                content = file.read(LIMIT + 1)
        except OSError as error:
            reason = kernel_reason(error)
            raise RequestError(f"failed to read dockerfile: open {files.dockerfile}: {reason}") from error
        if len(content) > LIMIT:
            raise RequestError(f"failed to read dockerfile: {files.dockerfile}: longer than {LIMIT} bytes")
        return decode_dockerfile(files.dockerfile.name, content)
    if isinstance(files.context, str):
        raise RequestError(f"the context {files.context} is remote: only a build reads its Dockerfile")
    return _from_context(files.context)


def _from_context(context: Path) -> Definition:
    with open_context(context) as root:
        for name in DEFAULT_NAMES:
            try:
                content = root.read_file(name, LIMIT)
            except UnsafePathError as error:
                raise RequestError(f"failed to read dockerfile: {error}") from error
            if content is not None:
                return decode_dockerfile(name, content)
    raise no_dockerfile(context, str(context), context)


def no_dockerfile(context: Path, where: str, base: Path) -> RequestError:
    """Return the failure of a context without a Dockerfile. *where* names it, and -f means a path below *base*."""
    other = "Containerfile"
    meant = f"there is a {other}: give it with -f {base / other}" if (context / other).is_file() else ""
    return not_found(DEFAULT_NAMES[0], meant or f"there is no Dockerfile in {where}; name another one with -f")


def not_found(name: str, hint: str = "") -> RequestError:
    """Return Docker's error for a Dockerfile that does not exist."""
    return RequestError(f"failed to read dockerfile: open {name}: no such file or directory", hint=hint)


def decode_dockerfile(name: str, content: bytes) -> Definition:
    """Return the text of a Dockerfile; comments may be in any encoding. Raises RequestError when it is not UTF-8."""
    try:
        return Definition(name, content.decode())
    except UnicodeDecodeError:
        rows = content.split(b"\n")
        return Definition(name, "\n".join(_row(name, number, row) for number, row in enumerate(rows, 1)))


def _row(name: str, number: int, row: bytes) -> str:
    try:
        return row.decode(errors="replace" if row.lstrip().startswith(b"#") else "strict")
    except UnicodeDecodeError as error:
        hint = "save it as UTF-8; only comments may be in another encoding"
        raise RequestError(f"{name}:{number}: the Dockerfile is not valid UTF-8", hint=hint) from error
