"""Contexts of Kaniko in git repositories: their addresses, and the variables that say how they are read.

``git://`` is https, unless $GIT_PULL_METHOD is ``http``, and its fragment is ``#REF#COMMIT``. The user is that of
$GIT_TOKEN, of $GIT_USERNAME and $GIT_PASSWORD, or of the address.
"""

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager

from pybuild.builder.cli.commands.build.executor_flags import SourceFlags
from pybuild.builder.sources.address import git_host

_HEADER = "GIT_AUTH_HEADER"


def is_repository(kind: str, place: str) -> bool:
    """Return whether the context ``KIND://PLACE`` is a repository, and not an archive."""
    return kind == "git" or (kind in {"https", "http"} and place.partition("#")[0].endswith(".git"))


def address(kind: str, place: str, flags: SourceFlags) -> str:
    """Return the URL of the repository ``KIND://PLACE`` as ``build`` takes it, without a user."""
    path, _, fragment = place.partition("#")
    branch = dict(item.partition("=")[::2] for item in (flags.git or "").split(",")).get("branch", "")
    reference = fragment.rpartition("#")[2] or branch
    found = _url(kind, path)
    tail = f"{reference}:{flags.sub_path}" if flags.sub_path else reference
    return f"{found}#{tail}" if tail else found


def _url(kind: str, path: str) -> str:
    host, slash, rest = path.removesuffix(".git").partition("/")
    if kind == "git":
        kind = "http" if os.environ.get("GIT_PULL_METHOD") == "http" else "https"
    return f"{kind}://{host.rpartition('@')[2]}{slash}{rest}.git"


@contextmanager
def authorized(context: str) -> Iterator[tuple[str, ...]]:
    """Yield the words by which ``build`` reads the repository *context* as Kaniko's user; none for other contexts.

    A variable, which the words name, is set as long as the block runs.
    """
    kind, _, place = context.partition("://")
    user = _user(place) if is_repository(kind, place) else ""
    if not user:
        yield ()
        return
    before = os.environ.get(_HEADER)
    os.environ[_HEADER] = f"Basic {base64.b64encode(user.encode()).decode()}"
    try:
        yield ("--secret", f"id={_HEADER}.{git_host(_url(kind, place.partition('#')[0]))},env={_HEADER}")
    finally:
        if before is None:
            del os.environ[_HEADER]
        else:
            os.environ[_HEADER] = before


def _user(place: str) -> str:
    """Return ``USER:PASSWORD``, "" for nobody."""
    name, password, token = (os.environ.get(f"GIT_{name}", "") for name in ("USERNAME", "PASSWORD", "TOKEN"))
    if token:  # as Kaniko sends it
        return f"{token}:"
    if name or password:
        return f"{name}:{password}"
    user, at, _ = place.partition("/")[0].rpartition("@")
    return user if not at or ":" in user else f"{user}:"
