"""Files that can be read only once, such as the pipe of ``--secret src=<(...)``: read at the start, kept in memory.

A build reads such a file more than once: the ignore file for the plan and for the context, a secret for each step that
mounts it. From the second time on a pipe would be empty, and an empty ignore file hides nothing.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from stat import S_ISREG

from pybuild.builder.content.context import IGNORE_LIMIT
from pybuild.builder.errors import RequestError
from pybuild.builder.request import Files, Request, Secret
from pybuild.builder.sources.secrets import SECRET_LIMIT
from pybuild.runtime.errors import kernel_reason

_MEMORY = "/proc/self/fd/"


@contextmanager
def read_pipes(request: Request) -> Iterator[Request]:
    """Yield *request* with files that can be read again; regular files are left alone.

    Raises:
        RequestError: a file that is not a regular one cannot be read.
    """
    with ExitStack() as stack:
        ignore = request.files.ignore_file
        yield request.changed(
            ignore_file=None if ignore is None else _held(ignore, IGNORE_LIMIT, stack),
            secrets=tuple(_secret(secret, stack) for secret in request.execution.secrets),
        )


def held_descriptors(files: Files, secrets: tuple[Secret, ...]) -> tuple[int, ...]:
    """Return the descriptors behind files that are in memory: another process needs them to read these."""
    paths = (files.ignore_file, *(secret.file for secret in secrets))
    names = (os.fspath(path) for path in paths if path is not None)
    return tuple(int(name.removeprefix(_MEMORY)) for name in names if name.startswith(_MEMORY))


def _secret(secret: Secret, stack: ExitStack) -> Secret:
    return secret if secret.file is None else replace(secret, file=_held(secret.file, SECRET_LIMIT, stack))


def _held(path: Path, limit: int, stack: ExitStack) -> Path:
    """Return *path*, or the path of a copy in memory, never on disk, which is gone when *stack* ends."""
    try:
        if S_ISREG(path.stat().st_mode):
            return path
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except FileNotFoundError:
        return path  # callers need the reason only
    except OSError as error:
        raise RequestError(f"failed to read {path}: {kernel_reason(error)}") from error
    if len(content) > limit:
        raise RequestError(f"failed to read {path}: longer than {limit >> 10} KiB")
    held = os.memfd_create("pybuild", os.MFD_CLOEXEC)
    stack.callback(os.close, held)
    # The file object closes its own copy of the descriptor.
    with os.fdopen(os.dup(held), "wb") as file:
        file.write(content)
    # Opening this path opens the file anew, so that each reader begins at its start.
    return Path(f"{_MEMORY}{held}")
