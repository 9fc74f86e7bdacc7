"""Options of ``-o``: one record of ``key=value`` fields, in which a misspelt or unsupported key is an error."""

import csv
from collections.abc import Mapping
from pathlib import Path

from pybuild.builder.errors import RequestError
from pybuild.builder.options import boolean
from pybuild.grammar.parse_go import parse_bool
from pybuild.grammar.suggest import did_you_mean
from pybuild.runtime.values import frozen

_FLAGS = (
    *("push", "push-by-digest", "registry.insecure", "store", "name-canonical", "force-compression"),
    *("oci-mediatypes", "tar", "platform-split", "rewrite-timestamp"),
)
_USED = (
    *_FLAGS,
    *(
        "dest",
        "name",
        "dangling-name-prefix",
        "compression",
        "compression-level",
        "mode",
        "source-date-epoch",
        "context",
    ),
)
# Options of which only the default is supported. `unpack` concerns the image store of a daemon. "danging" is BuildKit's
# own spelling, and a name for dangling images is never given to others here, so it is always true.
_SETTLED = {
    "unpack": "",
    "danging-name-empty-only": "true",
    "prefer-nondist-layers": "false",
    "attestation-inline": "",
    "oci-artifact": "",
    "compatibility-version": "30",
}
_HINTS = {"compatibility-version": "only 30 is supported; use oci-mediatypes=false for Docker's media types"}


@frozen
class OutputOptions:
    """One ``-o``: its type, and the other fields by key in lower case."""

    type: str
    values: Mapping[str, str]

    def text(self, key: str, default: str = "") -> str:
        """Return the value of *key*, *default* when it is not given."""
        return self.values.get(key, default)

    def flag(self, key: str, *, default: bool = False) -> bool:
        """Return whether *key* is switched on. Raises RequestError for what is neither true nor false."""
        text = self.values.get(key)
        return default if text is None else boolean(key, text, "--output")

    def dest(self) -> Path | None:
        """Return the file or directory of ``dest=``, None for standard output."""
        dest = self.text("dest")
        return None if dest in {"", "-"} else Path(dest)

    def optional_flag(self, key: str) -> bool | None:
        """As `flag`, None when *key* is not given."""
        return self.flag(key) if key in self.values else None

    def check_flags(self) -> None:
        """Raise RequestError for an invalid boolean, even of an option that the type does not use."""
        for key in _FLAGS:
            self.flag(key)

    def refuse_layout(self) -> None:
        """Raise RequestError for ``tar=false`` with a type that cannot write an image layout."""
        if not self.flag("tar", default=True):
            raise RequestError("--output tar=false is for type=oci with dest=DIR")


def read(text: str) -> OutputOptions:
    """Return the options of one ``-o``.

    The grammar is Docker's: one record of CSV with ``key=value`` fields, or a path alone for ``type=local``, or ``-``
    for ``type=tar`` on standard output.
    """
    try:
        fields = next(csv.reader([text], strict=True), []) if text else []
    except csv.Error as error:
        raise RequestError(f"invalid --output {text!r}: {error}") from error
    if fields == [text] and not text.startswith("type="):
        return OutputOptions(type="tar" if text == "-" else "local", values={"dest": text})
    values: dict[str, str] = {}
    for field in fields:
        key, equals, value = field.partition("=")
        if not equals:
            raise RequestError(f"invalid --output {text!r}: invalid value {field!r}")
        values[key.strip().lower()] = value
    kind = values.pop("type", "")
    if not kind:
        raise RequestError(f"invalid --output {text!r}: type is required")
    _check(values)
    found = OutputOptions(type=kind, values=values)
    found.check_flags()
    return found


def _check(values: Mapping[str, str]) -> None:
    """Raise RequestError for an option that is unknown, or has a value that pybuild does not support."""
    for key, given in values.items():
        if key in _USED or key.startswith("annotation"):
            continue
        if key not in _SETTLED:
            raise RequestError(f"unknown --output option {key!r}", hint=did_you_mean(key, (*_USED, *_SETTLED)))
        if _SETTLED[key] not in {"", _spelled_out(given)}:
            raise RequestError(f"--output {key}={given} is not supported", hint=_HINTS.get(key, ""))


def _spelled_out(given: str) -> str:
    try:
        return str(parse_bool(given)).lower()
    except ValueError:
        return given
