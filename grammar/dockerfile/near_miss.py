"""Near misses of JSON arrays, flags and quotes, with another meaning: ``VOLUME ['/a']``, ``COPY -from=x``.

Docker silently reads such text as words or as a shell command. Usual reasons are single quotes, an open bracket, or
dashes and quotation marks of a word processor. This module only adds a warning; the meaning is that of Docker.
"""

import json
import re

from pybuild.grammar.dockerfile.flags import FLAGS
from pybuild.grammar.dockerfile.forms import is_array
from pybuild.grammar.dockerfile.pieces import split_first
from pybuild.grammar.golang import SPACE

_DASHES = "\u2010-\u2015\u2212"
_QUOTES = "\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u201b\u00ab\u00bb"
_ITEM = rf"""(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|[{_QUOTES}]([^{_QUOTES}]*)[{_QUOTES}])"""
_ITEMS = re.compile(_ITEM)
_ARRAY = re.compile(rf"\[\s*{_ITEM}\s*(?:,|\]\s*$)")
_OPENED = re.compile(rf"""\[\s*["'{_QUOTES}]""")
_REST = re.compile(r"[\s,\[\]]*")
_FLAG = re.compile(rf"(?:-|-?[{_DASHES}][-{_DASHES}]?)([a-z][a-z-]*)(=.*|$)", re.DOTALL)
_VALUE = re.compile(rf"(?<!\S)([^\s=]+)=([{_QUOTES}])")

_WORDS = frozenset({"COPY", "ADD", "VOLUME"})
"""Instructions without a shell form, in which a bracket and a quotation mark suffice to suspect an array."""
_COMMANDS = frozenset({"RUN", "CMD", "ENTRYPOINT"})
_PAIRS = frozenset({"ENV", "LABEL", "ARG"})


def near_miss(instruction: str) -> str:
    """Return a remark with the right spelling for a near miss in an instruction; usually ""."""
    name, start = split_first(instruction.split("\n", 1)[0])
    keyword, rest = name.upper(), instruction.split("\n", 1)[0][start:]
    if keyword == "ONBUILD":
        return near_miss(rest)
    flags, rest = _cut_flags(rest)
    if not flags.endswith("--") and (flag := _flag(keyword, rest)):
        return flag
    if keyword == "HEALTHCHECK" and rest[:3].upper() == "CMD":
        keyword, rest = "RUN", rest[3:].strip(SPACE)
        name = f"{name} CMD"
    if keyword in _WORDS | _COMMANDS:
        return _nearly_array(name, keyword, rest)
    return _value(rest) if keyword in _PAIRS else ""


def nearly_array(text: str) -> str:
    """Return the JSON array that *text* almost is; "" when there is none, or it is unclear."""
    if is_array(text) or not _ARRAY.match(text) or _REST.fullmatch(_ITEMS.sub("", text)) is None:
        return ""
    items = [next(part for part in found.groups() if part is not None) for found in _ITEMS.finditer(text)]
    return json.dumps(items, ensure_ascii=False)


def _nearly_array(name: str, keyword: str, text: str) -> str:
    wanted = _OPENED if keyword in _WORDS else _ARRAY
    if not wanted.match(text) or is_array(text):
        return ""
    taken = "words" if keyword in _WORDS else "a shell command"
    spelled = nearly_array(text) or '["...", "..."]'
    return f"{_cut(text)} is not a JSON array, and is read as {taken}: write {name} {spelled}"


def _flag(keyword: str, text: str) -> str:
    """Return a remark on the first word of *text*, when it is a flag with a wrong dash."""
    word, _ = split_first(text)
    found = _FLAG.fullmatch(word)
    if found is None or found[1] not in FLAGS.get(keyword.lower(), {}):
        return ""
    return f"{_cut(word)} is not a flag, because of its dash: write --{found[1]}{found[2]}"


def _cut_flags(text: str) -> tuple[str, str]:
    """Return the flags at the start of *text*, including ``--``, and the rest."""
    start = 0
    while text.startswith("--", start):
        start += split_first(text[start:])[1]
    return text[:start].strip(SPACE), text[start:]


def _value(text: str) -> str:
    found = _VALUE.search(text)
    if found is None or any(text.count(mark, 0, found.start()) % 2 for mark in "\"'"):
        return ""
    return f'{found[2]} is not a quotation mark, but part of the value: write {found[1]}="..."'


def _cut(text: str) -> str:
    return text if len(text) <= 60 else text[:60] + "..."
