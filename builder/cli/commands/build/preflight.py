"""Preflight checks: mistakes that would make a build fail at its end are found before it starts."""

import os
from collections.abc import Iterable
from pathlib import Path

from pybuild.builder.cli.tools import is_terminal, warn
from pybuild.builder.errors import RequestError
from pybuild.builder.outputs.files import check_destination
from pybuild.builder.request import Output, Request, Secret


def check_beforehand(request: Request, files: Iterable[Path | None]) -> None:
    """Check the files and directories that *request* reads and writes, and *files*, to which results are written.

    Raises:
        RequestError: one of them cannot be used.
    """
    _check_outputs(request)
    check_secrets(request.execution.secrets)
    for path in files:
        check_destination(path)
    for output in request.result.outputs:
        check_destination(output.file)
        output.check()


def streams(request: Request) -> list[Output]:
    """Return the outputs that go to standard output."""
    return [item for item in request.result.outputs if item.streams]


def check_secrets(secrets: Iterable[Secret]) -> None:
    """Raise RequestError for a secret whose file is not there, and warn of one whose variable is not set."""
    for secret in secrets:
        if secret.file is None and secret.variable not in os.environ:
            warn(f"secret {secret.id} is empty: the variable {secret.variable} is not set")
        if secret.file is not None and not secret.file.exists():
            hint = f"--secret id={secret.id},src=FILE or id={secret.id},env=NAME"
            raise RequestError(f"failed to stat {secret.file}: no such file or directory", hint=hint)


def _check_outputs(request: Request) -> None:
    found = streams(request)
    result = request.result
    named = all(target.tags for target in result.targets) if result.targets else bool(result.tags)
    if any(item.pushes for item in result.outputs) and not named:
        raise RequestError("tag is needed when pushing to registry", hint="give -t NAME")
    if len(found) > 1:
        raise RequestError("only one --output can go to standard output")
    if found and is_terminal(1):
        raise RequestError("refusing to write an archive to a terminal", hint="redirect it, or give dest=FILE")
