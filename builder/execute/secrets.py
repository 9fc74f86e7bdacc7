"""Secrets of a RUN: given to the process as files in memory or variables, kept out of everything that is stored.

Values never enter an op, a key, a layer or the store. What a step prints is searched for them, so that a careless
``set -x`` does not put them into a log.
"""

import base64
import os
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from urllib.parse import quote

from pybuild.builder.errors import BuildError
from pybuild.builder.plan.ops import Run, SecretMount
from pybuild.builder.request import Execution
from pybuild.builder.sources.secrets import read_secret
from pybuild.runtime.sandbox.spec import FileMount
from pybuild.runtime.values import frozen

_FOLDER = PurePosixPath("/run/secrets")
_SHORTEST = 4
"""Shorter values would be found by chance everywhere."""
_SHORTEST_LINE = 8
_LINE = 76
"""What base64(1) writes in a line."""
_MASK = b"****"


@frozen
class Found:
    """The secrets of one step."""

    mounts: tuple[FileMount, ...]
    env: tuple[tuple[str, str], ...]
    values: tuple[bytes, ...]


def find_secrets(op: Run, execution: Execution) -> Found:
    """Read the secrets that *op* mounts.

    Raises:
        BuildError: one that is required was not given, or cannot be read.
    """
    given = {secret.id: secret for secret in execution.secrets}
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
    """Return the value of the secret *name* as that of a variable. Raises BuildError."""
    if b"\0" in value:
        raise BuildError(f"secret {name}: it holds a NUL byte, and no variable can", hint="mount it as a file")
    return os.fsdecode(value)


def _file(mount: SecretMount, name: str, value: bytes) -> FileMount:
    target = PurePosixPath(mount.target) if mount.target else _FOLDER / name
    mode = 0o400 if mount.mode is None else mount.mode
    return FileMount(target=target, content=value, mode=mode, uid=mount.uid, gid=mount.gid)


class Redactor:
    """Passes output on with the values of secrets masked, wherever the output is cut into pieces."""

    def __init__(self, values: tuple[bytes, ...], output: Callable[[int, bytes], None]) -> None:
        forms = {form for value in values for form in _forms(value.strip())}
        self._values = sorted(forms, key=len, reverse=True)
        self._output = output
        self._held: dict[int, bytes] = {}

    def __call__(self, stream: int, data: bytes) -> None:
        """Take a piece of output; what could be the beginning of a value is held back."""
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
        """Pass on what was held back: the output is complete."""
        for stream, text in self._held.items():
            self._output(stream, text)
        self._held.clear()


def _forms(value: bytes) -> Iterator[bytes]:
    """Yield what *value* may be printed as: whole, line by line, quoted for a URL, in base64, in hexadecimal."""
    if len(value) >= _SHORTEST:
        yield from (value, base64.b64encode(value), quote(value, safe="").encode(), value.hex().encode())
        yield from (base64.urlsafe_b64encode(value), value.hex().upper().encode())
    if len(value) >= _SHORTEST_LINE:
        yield from (form for ahead in range(3) for form in _in_base64(value, ahead))
    for line in value.splitlines():
        if len(line) >= _SHORTEST_LINE:
            yield from (line, line.hex().encode())


def _in_base64(value: bytes, ahead: int) -> Iterator[bytes]:
    """Yield how *value* looks in the base64 of a longer text, *ahead* bytes behind the beginning of a group of three.

    What stands before and behind it, as the line break of `echo "$SECRET" | base64`, changes the outer characters only.
    """
    bits = 8 * ahead
    form = base64.b64encode(bytes(ahead) + value)[-(-bits // 6) : (bits + 8 * len(value)) // 6]
    yield from (form, form.translate(bytes.maketrans(b"+/", b"-_")))
    if not ahead:
        # base64(1) breaks lines; of a value that does not begin the text nobody knows where.
        yield from (form[place : place + _LINE] for place in range(0, len(form) - _SHORTEST_LINE, _LINE))


def _overlap(text: bytes, value: bytes) -> int:
    """Return the length of the longest end of *text* that *value* begins with."""
    for length in range(min(len(text), len(value) - 1), 0, -1):
        if value.startswith(text[-length:]):
            return length
    return 0
