"""One repository on one server: what downloads and uploads share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pybuild.builder.oci.errors import (
    CredentialsError,
    DigestMismatch,
    ImageNotFound,
    InvalidImage,
    RegistryError,
    RegistryUnavailable,
    SizeMismatch,
)
from pybuild.builder.oci.registry.auth.tokens import Scope
from pybuild.builder.oci.registry.client import Call, Client
from pybuild.builder.oci.registry.routes import Body
from pybuild.builder.oci.registry.transfer.parallel import Lanes
from pybuild.builder.oci.registry.wire.http import Reply
from pybuild.builder.oci.registry.wire.retry import Retry

_T = TypeVar("_T")
_OK = frozenset({200})
_FALLS_THROUGH = (RegistryError, ImageNotFound, DigestMismatch, SizeMismatch, InvalidImage, CredentialsError)

TransferProgress = Callable[[str, int, int], None]
"""Called with (digest, bytes so far, bytes in all), from several threads at once."""


def no_progress(_id: str, _current: int, _total: int) -> None:
    """Ignore the progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """A repository, the client of its server, and the retry policy for it."""

    client: Client
    repository: str
    retry: Retry
    lanes: Lanes
    no_answer: Callable[[RegistryUnavailable], None] = lambda _error: None
    """Called when it did not answer and the next one is asked instead."""

    def get(
        self,
        path: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        expected: frozenset[int] = _OK,
    ) -> Reply:
        """Ask for *path* of the repository, once."""
        return self._send(
            Call(method=method, url=self.url(path), scope=self.scope(), headers=headers or {}, expected=expected)
        )

    def change(
        self,
        method: str,
        url: str,
        *,
        expected: frozenset[int],
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        source: str = "",
    ) -> Reply:
        """Send something to *url*, a path of the server or an absolute one, once. *source*: also read from there."""
        scope = self.scope("pull,push", source)
        return self._send(
            Call(method=method, url=url, scope=scope, headers=headers or {}, body=body, expected=expected)
        )

    def url(self, path: str) -> str:
        """Return the path of something in the repository, below the API root of the registry."""
        return f"{self.repository}/{path}"

    def scope(self, actions: str = "pull", source: str = "") -> Scope:
        """Return the scope of a request."""
        return Scope(self.repository, actions, source)

    def _send(self, call: Call) -> Reply:
        try:
            return self.client.send(call)
        except RegistryUnavailable as error:
            if error.status == 429:
                self.lanes.narrow()
            raise


def first_good(remotes: Sequence[Remote], action: Callable[[Remote], _T]) -> _T:
    """Return the result of *action* for the first remote where it succeeds, else raise the failure of the last."""
    for remote in remotes[:-1]:
        try:
            return action(remote)
        except _FALLS_THROUGH as error:
            if isinstance(error, RegistryUnavailable) and not error.status:
                remote.no_answer(error)
    return action(remotes[-1])
