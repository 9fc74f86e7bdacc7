"""Secrets of a RUN: the command gets them as files in memory or as variables.

Their values are never part of an op, a key, a layer or the store. They are masked in the output of a step, so that a
careless ``set -x`` does not write them to a log.
"""

import base64
import os
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from urllib.parse import quote

from pybuild.builder.errors import BuildError
from pybuild.builder.plan.ops import Run, SecretMount
from pybuild.builder.request.step_settings import HostInputs
from pybuild.builder.sources.secrets import read_secret
from pybuild.runtime.sandbox.spec import FileMount
from pybuild.runtime.values import frozen

_DIRECTORY = PurePosixPath("/run/secrets")
_SHORTEST = 4
"""The shortest value that is masked; shorter ones would match by chance everywhere."""
_SHORTEST_LINE = 8
"""The shortest line of a value that is masked on its own, in bytes."""
_LINE = 76
"""The length of the lines that base64(1) prints."""
_MASK = b"****"


@frozen
class Found:
    """The secrets of one step: as mounts, as variables, and the values alone, to be masked in the output."""

    mounts: tuple[FileMount, ...]
    env: tuple[tuple[str, str], ...]
    values: tuple[bytes, ...]


def find_secrets(op: Run, inputs: HostInputs) -> Found:
    """Read the secrets that *op* mounts.

    Raises:
        BuildError: a required secret was not given, or a secret cannot be read.
    """
    given = {secret.id: secret for secret in inputs.secrets}
    mounts, env, values = [], [], []
    for mount in op.mounts:
        if not isinstance(mount, SecretMount):
            continue
        name = mount.id or PurePosixPath(mount.target).name
        if name not in given:
            if mount.required:
                raise BuildError(f"secret {name}: not found", hint=f"give it with --secret id={name},src=FILE")
            if mount.env:
                env.append((mount.env, ""))
            continue
        value = read_secret(given[name])
        values.append(value)
        if mount.env:
            env.append((mount.env, _text(name, value)))
        if mount.target or not mount.env:
            mounts.append(_file(mount, name, value))
    return Found(mounts=tuple(mounts), env=tuple(env), values=tuple(values))


def _text(name: str, value: bytes) -> str:
    """Return the value of the secret *name* for a variable. Raises BuildError when it has a NUL byte."""
    if b"\0" in value:
        raise BuildError(f"secret {name}: a variable cannot have a NUL byte", hint="mount it as a file")
    return os.fsdecode(value)


def _file(mount: SecretMount, name: str, value: bytes) -> FileMount:
    target = PurePosixPath(mount.target) if mount.target else _DIRECTORY / name
    mode = 0o400 if mount.mode is None else mount.mode
    return FileMount(target=target, content=value, mode=mode, uid=mount.uid, gid=mount.gid, secret=True)


class Redactor:
    """Passes output on with the values of secrets masked, even when a value is split between two chunks."""

    def __init__(self, values: tuple[bytes, ...], output: Callable[[int, bytes], None]) -> None:
        forms = {form for value in values for form in _forms(value.strip())}
        self._values = sorted(forms, key=len, reverse=True)
        self._output = output
        self._held: dict[int, bytes] = {}

    def __call__(self, stream: int, data: bytes) -> None:
        """Pass on a chunk of output. Its end is held back while it could be the start of a value."""
        text = self._held.pop(stream, b"") + data
        for value in self._values:
            text = text.replace(value, _MASK)
        keep = max((_overlap(text, value) for value in self._values), default=0)
        if keep:
            self._held[stream] = text[-keep:]
            text = text[:-keep]
        if text:
            self._output(stream, text)

    def finish(self) -> None:
        """Pass on what is still held back, because the output has ended."""
        for stream, text in self._held.items():
            self._output(stream, text)
        self._held.clear()


def _forms(value: bytes) -> Iterator[bytes]:
    """Yield what is masked for *value*: the value, its lines, and its forms in URL quoting, base64 and hexadecimal."""
    if len(value) >= _SHORTEST:
        yield from (value, base64.b64encode(value), quote(value, safe="").encode(), value.hex().encode())
        yield from (base64.urlsafe_b64encode(value), value.hex().upper().encode())
    if len(value) >= _SHORTEST_LINE:
        yield from (form for ahead in range(3) for form in _in_base64(value, ahead))
    for line in value.splitlines():
        if len(line) >= _SHORTEST_LINE:
            yield from (line, line.hex().encode())


def _in_base64(value: bytes, ahead: int) -> Iterator[bytes]:
    """Yield the forms of *value* in the base64 of a text in which it begins *ahead* bytes into a group of three.

    The text around it, such as the line break of `echo "$SECRET" | base64`, changes only the first and last characters,
    which are left out.
    """
    bits = 8 * ahead
    form = base64.b64encode(bytes(ahead) + value)[-(-bits // 6) : (bits + 8 * len(value)) // 6]
    yield from (form, form.translate(bytes.maketrans(b"+/", b"-_")))
    if not ahead:
        # base64(1) breaks lines: for a value at the start of the text it is known where, for any other it is not.
        yield from (form[start : start + _LINE] for start in range(0, len(form) - _SHORTEST_LINE, _LINE))


def _overlap(text: bytes, value: bytes) -> int:
    """Return the length of the longest suffix of *text* that is a proper prefix of *value*."""
    for length in range(min(len(text), len(value) - 1), 0, -1):
        if value.startswith(text[-length:]):
            return length
    return 0
