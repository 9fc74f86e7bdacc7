"""Secrets that authenticate the user with other hosts: from their ids to the header that is sent.

    HTTP_AUTH_TOKEN_<host>  HTTP_AUTH_HEADER_<host>     for ADD of files and contexts over HTTP
    GIT_AUTH_TOKEN.<host>   GIT_AUTH_HEADER.<host>      for git over HTTP; without the host: for the repository that the
    GIT_AUTH_TOKEN          GIT_AUTH_HEADER             user named, not for those of its submodules

A value is sent only to the host that it is for, whatever that host redirects to.
"""

import base64

from pybuild.builder.errors import BuildError
from pybuild.builder.request.step_settings import HostInputs
from pybuild.builder.sources.secrets import read_secret


def http_authorization(host: str, inputs: HostInputs) -> str | None:
    """Return the value of the Authorization header for *host*, None when there is no secret for it."""
    header = _secret(f"HTTP_AUTH_HEADER_{host}", inputs)
    if header is not None:
        return header
    token = _secret(f"HTTP_AUTH_TOKEN_{host}", inputs)
    return None if token is None else f"Bearer {token}"


def git_authorization(host: str, inputs: HostInputs, *, own: bool) -> str | None:
    """Return the value of the Authorization header for git at *host*; *own* when the user named that host."""
    for suffix in (f".{host}", *([""] if own else [])):
        header = _secret(f"GIT_AUTH_HEADER{suffix}", inputs)
        if header is not None:
            return header
        token = _secret(f"GIT_AUTH_TOKEN{suffix}", inputs)
        if token is not None:
            # The user name is GitHub's for tokens; BuildKit sends it to every host.
            return "basic " + base64.b64encode(f"x-access-token:{token}".encode()).decode()
    return None


def _secret(name: str, inputs: HostInputs) -> str | None:
    found = next((secret for secret in inputs.secrets if secret.id == name), None)
    if found is None:
        return None
    value = read_secret(found).decode("utf-8", "replace").strip()
    if not value:
        return None  # the variable of an optional token is empty, or not set
    # A line break would start another header.
    if not value.isascii() or not value.isprintable():
        raise BuildError(f"secret {name}: not valid in a header")
    return value
