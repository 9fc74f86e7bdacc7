"""Credential helpers: programs called ``docker-credential-<name>`` that store passwords safely.

They exchange one line of JSON on standard input and output (Docker's credential-helper protocol). The name comes from a
file that others may have written, so it must be a word, not a path, and is searched only in absolute directories of
PATH. The program gets the environment of the user, because it may need keys, agents and the desktop session. Its time
and the length of its output are limited.
"""

import json
import os
import re
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from pybuild.builder.oci.errors import CredentialsError, HelperMissing, InvalidImage
from pybuild.builder.oci.json_documents import parse_object
from pybuild.builder.oci.registry.auth.tokens import Credentials

_NAME = re.compile(r"[\w+@-][\w+@.-]{0,99}\Z", re.ASCII)
_LIMIT = 1024 * 1024
_TOKEN_USER = "<token>"  # noqa: S105 - a name, not a secret
"""The user name under which a helper keeps an identity token."""
_NOT_FOUND = "credentials not found in native keychain"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """The exit code and the output of a helper."""

    code: int
    output: str
    complaints: str

    @property
    def lacks_it(self) -> bool:
        """Whether it failed only because it has nothing for this server."""
        return bool(self.code) and _NOT_FOUND in self.output + self.complaints

    @property
    def reason(self) -> str:
        """Why it failed. The protocol puts that on standard output, but many helpers write it to standard error."""
        return _line(self.output) or _line(self.complaints) or f"exit code {self.code} and no reason given"


@dataclass(frozen=True, slots=True, kw_only=True)
class Helper:
    """One helper by *name*. *timeout* is in seconds, long enough for a question to the user."""

    name: str
    env: Mapping[str, str] = field(repr=False)
    timeout: float = 30

    def get(self, server: str) -> Credentials | None:
        """Return the stored credentials for *server*, if there are any. Raises CredentialsError."""
        answer = self._run("get", server)
        if answer.lacks_it:
            return None
        if answer.code:
            raise self._error(f"failed for {server}: {answer.reason}")
        try:
            fields = parse_object(answer.output.encode("utf-8", "surrogateescape"), "credentials")
            username, secret = fields.text("Username"), fields.text("Secret")
        except InvalidImage as error:
            raise self._error(f"did not answer with credentials: {error}") from None
        if username == _TOKEN_USER:
            return Credentials(identity_token=secret)
        return Credentials(username, secret) if username and secret else None

    def store(self, server: str, credentials: Credentials) -> None:
        """Store *credentials* for *server*. Raises CredentialsError."""
        token = credentials.identity_token
        entry = {
            "ServerURL": server,
            "Username": _TOKEN_USER if token else credentials.username,
            "Secret": token or credentials.password,
        }
        answer = self._run("store", json.dumps(entry))
        if answer.code:
            raise self._error(f"cannot store the credentials: {answer.reason}")

    def erase(self, server: str) -> None:
        """Remove the stored credentials for *server*, if there are any. Raises CredentialsError."""
        answer = self._run("erase", server)
        if answer.code and not answer.lacks_it:
            raise self._error(f"cannot remove the credentials: {answer.reason}")

    def _run(self, action: str, text: str) -> _Answer:
        try:
            process = subprocess.Popen(
                [self._program(), action],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self.env,
                # A process group of its own, which can be killed as a whole.
                start_new_session=True,
            )
        except OSError as error:
            raise self._error(str(error.strerror)) from error
        with process:
            try:
                return self._converse(process, text)
            finally:
                # The whole group: processes that it left behind would hold the pipes open.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def _program(self) -> str:
        if not _NAME.match(self.name):
            raise CredentialsError(f"invalid name of a credential helper {self.name[:100]!r}")
        directories = [
            directory for directory in self.env.get("PATH", os.defpath).split(os.pathsep) if os.path.isabs(directory)
        ]
        found = (
            shutil.which(f"docker-credential-{self.name}", path=os.pathsep.join(directories)) if directories else None
        )
        if found is None:
            raise HelperMissing(f"credential helper docker-credential-{self.name} is not installed")
        return found

    def _converse(self, process: "subprocess.Popen[bytes]", text: str) -> _Answer:
        assert process.stdin is not None  # noqa: S101 - all three are pipes
        assert process.stdout is not None  # noqa: S101
        assert process.stderr is not None  # noqa: S101
        with suppress(BrokenPipeError):
            process.stdin.write(text.encode())
            process.stdin.close()
        pieces = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
        self._read(pieces, process.stdout.fileno())
        try:
            code = process.wait(self.timeout)
        except subprocess.TimeoutExpired:
            raise self._error(f"did not end within {self.timeout:g} seconds") from None
        # An agent that the helper started may hold standard error open, so only available output is read.
        _take(pieces, 0)
        output, complaints = map(_text, pieces.values())
        return _Answer(code=code, output=output, complaints=complaints)

    def _read(self, pieces: dict[int, bytearray], until: int) -> None:
        """Add the output of each descriptor to *pieces*, until one of them ends."""
        deadline = time.monotonic() + self.timeout
        open_ = dict(pieces)
        while until in open_:
            ended = _take(open_, max(0.0, deadline - time.monotonic()))
            if ended is None:
                output = "".join(f": {line}" for raw in pieces.values() if (line := _line(_text(raw))))
                raise self._error(f"did not answer within {self.timeout:g} seconds{output}")
            if any(len(found) > _LIMIT for found in pieces.values()):
                raise self._error(f"printed more than {_LIMIT} bytes")
            for fd in ended:
                del open_[fd]

    def _error(self, reason: str) -> CredentialsError:
        return CredentialsError(f"credential helper docker-credential-{self.name}: {reason}")


def _take(pieces: dict[int, bytearray], timeout: float) -> list[int] | None:
    """Add available output to *pieces* and return descriptors that ended; None when there was no output."""
    with selectors.DefaultSelector() as selector:
        for fd in pieces:
            selector.register(fd, selectors.EVENT_READ)
        ready = [key.fd for key, _ in selector.select(timeout)]
    found = {fd: os.read(fd, 65536) for fd in ready}
    for fd, piece in found.items():
        pieces[fd] += piece
    return [fd for fd, piece in found.items() if not piece] if ready else None


def _text(raw: bytearray) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _line(output: str) -> str:
    """Return the first line of the output of a helper, without control characters."""
    line = output.strip().partition("\n")[0]
    return "".join(letter if letter.isprintable() else "?" for letter in line)[:200]
