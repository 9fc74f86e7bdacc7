"""The servers that a registry is asked at: its mirrors, and itself; with one client for each."""

import re
import threading
from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from pybuild.builder.oci.errors import RegistryError, RegistryUnavailable
from pybuild.builder.oci.registry.access import AS_CONFIGURED, Access
from pybuild.builder.oci.registry.auth.tokens import Credentials
from pybuild.builder.oci.registry.client import Client
from pybuild.builder.oci.registry.mirrors import MirrorPlace
from pybuild.builder.oci.registry.settings import Settings
from pybuild.builder.oci.registry.transfer.parallel import Lanes
from pybuild.builder.oci.registry.transfer.remote import Remote
from pybuild.builder.oci.registry.wire.certificates import Tls
from pybuild.builder.oci.registry.wire.http import Timing
from pybuild.builder.oci.registry.wire.origin import Origin
from pybuild.builder.oci.registry.wire.retry import Retry

# distribution-spec, "Pulling manifests": the form of <name>.
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*\Z")
_MIRROR_ATTEMPTS = 2  # the registry itself is asked after them


class RegistryServers:
    """The servers for the registry *name*, as *settings* have them. Thread-safe.

    Credentials of *access* override those of *settings*.
    """

    def __init__(self, name: str, settings: Settings, access: Access, retry: Retry, timing: Timing) -> None:
        self._name, self._settings, self._access = name, settings, access
        self.retry, self._timing = retry, timing
        # Without a given access, the registry has a set of failed mirrors of its own.
        self._passed_over = set[str]() if access is AS_CONFIGURED else access.passed_over
        self._lock = threading.Lock()
        self._clients: dict[MirrorPlace, tuple[Client, Lanes]] = {}
        self._insecure: frozenset[str] = frozenset()

    def clients(self) -> Iterable[Client]:
        """Return the clients of all servers that were asked."""
        return [client for client, _ in list(self._clients.values())]

    def own_client(self) -> Client:
        """Return the client for the registry itself, without a repository."""
        place = self._settings.places(self._name, "", by_digest=False)[-1]
        return self._client(MirrorPlace(place.registry, "", place.insecure))[0]

    def remotes(self, repository: str, *, by_digest: bool = False) -> tuple[Remote, ...]:
        """Return where to look for a repository, the registry itself last; mirrors get fewer retries."""
        _check_name(repository)
        *mirrors, own = self._settings.places(self._name, repository, by_digest=by_digest)
        found = (*(place for place in mirrors if place.registry not in self._passed_over), own)
        for place in found:
            _check_name(place.repository)
        brief = replace(self.retry, attempts=min(_MIRROR_ATTEMPTS, self.retry.attempts), hung_attempts=1)
        return tuple(self._remote(place, self.retry if place is found[-1] else brief) for place in found)

    def _remote(self, place: MirrorPlace, retry: Retry) -> Remote:
        client, lanes = self._client(place)
        return Remote(
            client=client,
            repository=place.repository,
            retry=retry,
            lanes=lanes,
            no_answer=partial(self._pass_over, place.registry),
        )

    def _pass_over(self, mirror: str, error: RegistryUnavailable) -> None:
        """Do not ask a mirror again that did not answer: each stage of a build would wait for it again."""
        if mirror not in self._passed_over:
            self._passed_over.add(mirror)
            self._access.tell(f"the mirror {mirror} is not used any more: {error}")

    def _client(self, place: MirrorPlace) -> tuple[Client, Lanes]:
        with self._lock:
            if place not in self._clients:
                origins = self._settings.origins(place)
                if place.insecure:
                    self._insecure |= {f"{origin.host}:{origin.port}" for origin in origins}
                client = Client(
                    origins, self._tls, self._timing, lambda: self._who(place), self._settings.calls_insecure
                )
                self._clients[place] = (client, Lanes())
            return self._clients[place]

    def _who(self, place: MirrorPlace) -> Credentials | None:
        if self._access.credentials is not None and place.registry == self._name:
            return self._access.credentials
        return self._settings.credentials(place.registry, place.repository)

    def _tls(self, origin: Origin) -> Tls:
        return self._settings.tls(origin, self._insecure)


def _check_name(repository: str) -> None:
    if not _REPOSITORY.match(repository):
        raise RegistryError(f"invalid repository name {repository[:200]!r}")
