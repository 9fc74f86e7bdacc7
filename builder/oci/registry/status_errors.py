"""The errors for answers other than success, with the sanitized message of the server."""

import json
import re
from collections.abc import Iterator, Mapping
from html import unescape

from pybuild.builder.oci.errors import RegistryDenied, RegistryError, RegistryUnavailable
from pybuild.builder.oci.registry.wire.http import Reply
from pybuild.builder.oci.registry.wire.retry import RETRIED_STATUS, retry_after

_BODY_LIMIT = 64 * 1024
_PAGE = 8 * 1024
"""Characters of an HTML page that are searched: the patterns below are slow on malicious pages."""
_LENGTH = 300
_ERRORS = 3
_LOG_IN = "it may not exist, or you may need to log in with pybuild login"
_TLS = "if it uses TLS, put its certificate into certs.d, or name the directory with --cert-dir"
# Registries also answer 403 when a limit is exceeded, and then a login does not help.
_QUOTA = re.compile(r"quota|limit|exceed|too ?many|storage|billing|payment", re.IGNORECASE)
_UNREAD = re.compile(r"<(script|style|head)\b.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(r"<(?:title|h1|message)\b[^>]*>([^<]*)<", re.IGNORECASE)
_PAGE_START = re.compile(r"<(?:!doctype|html|head|title|body|\?xml|h1|error)\b", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]{0,1000}>")


def failure(reply: Reply, request: str) -> RegistryError:
    """Return the error for a status other than success, with the message of the server. Closes the answer."""
    with reply:
        code, words = _told(reply)
    message = f"{request}: status {reply.status}" + (f": {words}" if words else "")
    if reply.status in RETRIED_STATUS:
        patience = retry_after(reply.headers.get("Retry-After"))
        return RegistryUnavailable(message, status=reply.status, retry_after=patience)
    if reply.status in {401, 403}:
        hint = "" if reply.status == 403 and _QUOTA.search(words) else _LOG_IN
        return RegistryDenied(message, hint=hint, status=reply.status, code=code)
    # The answer of servers that expect TLS to plain http. On loopback only plain http is tried.
    plain = reply.status == 400 and reply.url.startswith("http://") and not code
    return RegistryError(message, status=reply.status, code=code, hint=_TLS if plain else "")


def words_of(body: bytes) -> tuple[str, str]:
    """Return the first error code and the text of the body of a failure; never raises.

    Registries send errors as in the distribution specification. Proxies and other services send anything:
    ``{"message"}``, ``{"detail"}``, ``{"error", "error_description"}``, an HTML page, a line of text.
    """
    text = body.decode("utf-8", "replace").strip()
    if not text:
        return "", ""
    try:
        document = json.loads(text, strict=False) if text[:1] in '{["' else None
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict):
        entries = [entry for entry in _entries(document) if any(entry)]
        code = next((code for code, _ in entries if code), "")
        lines = dict.fromkeys(_joined(entry) for entry in entries)
        more = [f"and {len(lines) - _ERRORS} more"] if len(lines) > _ERRORS else []
        return printable(code), "; ".join([*list(lines)[:_ERRORS], *more])
    if document is not None:
        return "", printable(document) if isinstance(document, str) else ""
    return "", printable(" ".join(_plain(text).split()))


def printable(text: str) -> str:
    """Return text of a server for display: without control characters, and not too long."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text)
    return shown if len(shown) <= _LENGTH else f"{shown[:_LENGTH]}..."


def _told(reply: Reply) -> tuple[str, str]:
    try:
        body = reply.content(_BODY_LIMIT)
    except RegistryUnavailable:
        return "", ""
    return words_of(body or b"")


def _entries(document: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield (code, text) of each error of a document."""
    errors = document.get("errors")
    if isinstance(errors, list) and errors:
        for error in errors:
            yield _entry(error) if isinstance(error, dict) else ("", _text(error))
        return
    error = document.get("error")
    yield _entry(error if isinstance(error, dict) else document)


def _entry(error: Mapping[str, object]) -> tuple[str, str]:
    """Return the text of one error, with its detail when the message is empty or repeats the code."""
    code = error.get("code") if isinstance(error.get("code"), str) else error.get("error")
    message = _text(error.get("message")) or _text(error.get("error_description")) or _text(error.get("msg"))
    detail = _text(error.get("detail")) or _text(error.get("details"))
    parts = [message, detail if detail.lower() not in message.lower() else ""]
    return _text(code), ": ".join(filter(None, parts))


def _joined(entry: tuple[str, str]) -> str:
    # Programs search for Docker's spelling: "unauthorized: authentication required".
    code, message = entry
    return printable(": ".join(filter(None, (code.lower().replace("_", " "), message))))


def _text(value: object) -> str:
    """Return the text of a value; of lists and objects, which details often are, the texts in it."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, dict):
        inner = value.get("message") or value.get("reason") or value.get("error")
        return inner.strip() if isinstance(inner, str) else ""
    if isinstance(value, list):
        return ", ".join(filter(None, (item.strip() for item in value if isinstance(item, str))))
    return ""


def _plain(text: str) -> str:
    """Return the first heading of a page with a word in it, or else the text between its tags; other text unchanged."""
    if not _PAGE_START.match(text):
        return text
    text = text[:_PAGE]
    headings = (found[1] for found in _TITLE.finditer(text))
    worded = next((heading for heading in headings if any(map(str.isalpha, heading))), None)
    return unescape(_TAG.sub(" ", _UNREAD.sub(" ", text)) if worded is None else worded)
