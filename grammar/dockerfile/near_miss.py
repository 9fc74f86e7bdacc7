"""What is nearly a JSON array, a flag or a quoted value, and means something else: ``VOLUME ['/a']``, ``COPY -from=x``.

Docker takes such text for words or for a command of the shell, and is silent. Single quotes come out of habit, a
bracket is left open, dashes and quotation marks are those of a word processor. This module only remarks on it: what the
text means stays what Docker makes of it.
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
"""Instructions for which a bracket with a quotation mark behind it is no command, so that it need not be complete."""
_COMMANDS = frozenset({"RUN", "CMD", "ENTRYPOINT"})
_PAIRS = frozenset({"ENV", "LABEL", "ARG"})


def near_miss(instruction: str) -> str:
    """Return what the text of an instruction nearly is, with the right spelling; "" for most of them."""
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
    """Return the JSON array that *text* nearly is, "" when it is none or cannot be told."""
    if is_array(text) or not _ARRAY.match(text) or _REST.fullmatch(_ITEMS.sub("", text)) is None:
        return ""
    items = [next(part for part in found.groups() if part is not None) for found in _ITEMS.finditer(text)]
    return json.dumps(items, ensure_ascii=False)


def _nearly_array(name: str, keyword: str, text: str) -> str:
    wanted = _OPENED if keyword in _WORDS else _ARRAY
    if not wanted.match(text) or is_array(text):
        return ""
    taken = "words" if keyword in _WORDS else "a command of the shell"
    spelled = nearly_array(text) or '["...", "..."]'
    return f"{_cut(text)} is no JSON array, and taken for {taken}: write {name} {spelled}"


def _flag(keyword: str, text: str) -> str:
    """Return the remark on the first word of *text*, when it is a flag but for its dash."""
    word, _ = split_first(text)
    found = _FLAG.fullmatch(word)
    if found is None or found[1] not in FLAGS.get(keyword.lower(), {}):
        return ""
    return f"{_cut(word)} is no flag, for its dash is another one: write --{found[1]}{found[2]}"


def _cut_flags(text: str) -> tuple[str, str]:
    """Return the flags that *text* begins with, ``--`` among them, and what is behind."""
    start = 0
    while text.startswith("--", start):
        start += split_first(text[start:])[1]
    return text[:start].strip(SPACE), text[start:]


def _value(text: str) -> str:
    found = _VALUE.search(text)
    if found is None or any(text.count(mark, 0, found.start()) % 2 for mark in "\"'"):
        return ""
    return f'{found[2]} does not quote, and is part of the value: write {found[1]}="..."'


def _cut(text: str) -> str:
    return text if len(text) <= 60 else text[:60] + "..."
