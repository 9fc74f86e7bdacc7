"""Options of ``-o`` that pybuild knows: a misspelt one, or one that would change the result, is never passed over."""

from collections.abc import Mapping

from pybuild.builder.errors import RequestError
from pybuild.grammar.golang import parse_bool
from pybuild.grammar.suggest import did_you_mean

FLAGS = (
    *("push", "push-by-digest", "registry.insecure", "store", "name-canonical", "force-compression"),
    *("oci-mediatypes", "tar", "platform-split", "rewrite-timestamp"),
)
"""The options that are true or false."""

_USED = (
    *FLAGS,
    *("name", "dangling-name-prefix", "compression", "compression-level", "mode", "source-date-epoch"),
)
# What each of these would do without being given; `unpack` is about an image store of the daemon's, and names that are
# for images without a name are given to no other here.
_SETTLED = {
    "unpack": "",
    "danging-name-empty-only": "true",
    "prefer-nondist-layers": "false",
    "attestation-inline": "",
    "oci-artifact": "",
    "compatibility-version": "30",
}
_HINTS = {"compatibility-version": "30 is what is done; for Docker's media types there is oci-mediatypes=false"}


def check_options(options: Mapping[str, str]) -> None:
    """Raise RequestError for an option that is unknown, or that asks for what pybuild does not do."""
    for key, given in options.items():
        if key in _USED or key.startswith("annotation"):
            continue
        if key == "context":
            raise RequestError(
                "--output context= is not supported", hint="there is no daemon: pipe it into docker load"
            )
        if key not in _SETTLED:
            raise RequestError(f"unknown --output option {key!r}", hint=did_you_mean(key, (*_USED, *_SETTLED)))
        if _SETTLED[key] not in {"", _spelled_out(given)}:
            raise RequestError(f"--output {key}={given} is not supported", hint=_HINTS.get(key, ""))


def _spelled_out(given: str) -> str:
    try:
        return str(parse_bool(given)).lower()
    except ValueError:
        return given
