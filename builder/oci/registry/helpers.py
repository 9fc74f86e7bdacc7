"""Credential helpers: programs called ``docker-credential-<name>`` that keep passwords in a safe place.

They speak one line of JSON on standard input and output (Docker's credential-helper protocol). The name comes from a
file that others may have written, so it is a word and never a path; the program gets an environment of known
variables, a time limit, and is read up to a limit.
"""

import json
import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from builder.oci.errors import CredentialsError, InvalidImage
from builder.oci.fields import parse_object
from builder.oci.registry.tokens import Credentials

_NAME = re.compile(r"[a-z0-9-]+\Z")
_LIMIT = 1024 * 1024
_TOKEN_USER = "<token>"  # noqa: S105 - a name, not a secret
"""The user name under which a helper keeps an identity token."""
_NOT_FOUND = "credentials not found in native keychain"

# What desktops and clouds need to find their keys; nothing else of the environment is a helper's business.
_VARIABLES = frozenset(
    "PATH HOME USER LOGNAME LANG TMPDIR DISPLAY WAYLAND_DISPLAY XAUTHORITY DBUS_SESSION_BUS_ADDRESS XDG_RUNTIME_DIR "
    "XDG_CONFIG_HOME XDG_DATA_HOME XDG_CACHE_HOME GNUPGHOME GPG_TTY PASSWORD_STORE_DIR "
    "HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy".split()
)
_PREFIXES = ("AWS_", "AZURE_", "CLOUDSDK_", "GOOGLE_", "DOCKER_CREDENTIAL_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Helper:
    """One helper by *name*. *timeout* is in seconds: it may have to ask its user."""

    name: str
    env: Mapping[str, str] = field(repr=False)
    timeout: float = 30

    def get(self, server: str) -> Credentials | None:
        """Return what the helper keeps for *server*; None when it keeps nothing. Raises CredentialsError."""
        code, output = self._run("get", server)
        if code:
            if _NOT_FOUND in output:
                return None
            raise self._error(f"failed for {server}: {_line(output)}")
        try:
            fields = parse_object(output.encode("utf-8", "surrogateescape"), "credentials")
            username, secret = fields.text("Username"), fields.text("Secret")
        except InvalidImage as error:
            raise self._error(f"answered with something else than credentials: {error}") from None
        if username == _TOKEN_USER:
            return Credentials(identity_token=secret)
        return Credentials(username, secret) if username and secret else None

    def store(self, server: str, credentials: Credentials) -> None:
        """Let the helper keep *credentials* for *server*. Raises CredentialsError."""
        token = credentials.identity_token
        entry = {
            "ServerURL": server,
            "Username": _TOKEN_USER if token else credentials.username,
            "Secret": token or credentials.password,
        }
        code, output = self._run("store", json.dumps(entry))
        if code:
            raise self._error(f"cannot keep the credentials: {_line(output)}")

    def erase(self, server: str) -> None:
        """Let the helper forget what it keeps for *server*, if anything. Raises CredentialsError."""
        code, output = self._run("erase", server)
        if code and _NOT_FOUND not in output:
            raise self._error(f"cannot forget the credentials: {_line(output)}")

    def _run(self, action: str, text: str) -> tuple[int, str]:
        if not _NAME.match(self.name):
            raise CredentialsError(f"invalid name of a credential helper {self.name[:100]!r}")
        env = {key: value for key, value in self.env.items() if key in _VARIABLES or key.startswith(_PREFIXES)}
        try:
            process = subprocess.Popen(
                [f"docker-credential-{self.name}", action],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=env,
                start_new_session=True,
            )
        except OSError as error:
            reason = "is not installed" if isinstance(error, FileNotFoundError) else str(error.strerror)
            raise self._error(reason) from error
        with process:
            try:
                return self._converse(process, text)
            finally:
                # Also what it started and left behind, which would hold the pipe open.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def _converse(self, process: "subprocess.Popen[bytes]", text: str) -> tuple[int, str]:
        assert process.stdin is not None  # noqa: S101 - both are pipes
        assert process.stdout is not None  # noqa: S101
        with suppress(BrokenPipeError):
            process.stdin.write(text.encode())
            process.stdin.close()
        output = self._read(process.stdout.fileno())
        try:
            code = process.wait(self.timeout)
        except subprocess.TimeoutExpired:
            raise self._error(f"did not end within {self.timeout:g} seconds") from None
        return code, output.decode("utf-8", "surrogateescape")

    def _read(self, fd: int) -> bytes:
        deadline = time.monotonic() + self.timeout
        output = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(fd, selectors.EVENT_READ)
            while selector.select(max(0.0, deadline - time.monotonic())):
                piece = os.read(fd, 65536)
                if not piece:
                    return bytes(output)
                output += piece
                if len(output) > _LIMIT:
                    raise self._error(f"printed more than {_LIMIT} bytes")
        raise self._error(f"did not answer within {self.timeout:g} seconds")

    def _error(self, reason: str) -> CredentialsError:
        return CredentialsError(f"credential helper docker-credential-{self.name}: {reason}")


def _line(output: str) -> str:
    """Return the first line of what a helper printed, without control characters."""
    line = output.strip().partition("\n")[0]
    return "".join(letter if letter.isprintable() else "?" for letter in line)[:200] or "no reason given"
