"""File modes as ``--chmod`` takes them: octal, or symbolic as in chmod(1): ``u=rwX,go=rX``."""

import re
from collections.abc import Callable, Iterator

from pybuild.builder.errors import ResolveError
from pybuild.grammar.parse_go import parse_uint32

_ALL = 0o7777
_CLAUSE = re.compile(r"(?P<who>[ugoa]*)(?P<actions>(?:[-+=][rwxXstugo]*)+)\Z")
_ACTION = re.compile(r"(?P<sign>[-+=])(?P<what>[rwxXstugo]*)")
_SHIFTS = {"u": 6, "g": 3, "o": 0}
_BITS = {"r": 0o444, "w": 0o222, "x": 0o111, "X": 0o111, "s": 0o6000, "t": 0o1000}
_STICKY = 0o1000
_SPECIAL = str.maketrans("", "", "st")
_REACH = {"u": 0o4700, "g": 0o2070, "o": 0o007, "a": 0o6777}
"""The bits that a clause may change, by the letter before the sign. The sticky bit is in none: see `_actions`."""
MADE = 0o755
"""The mode of a parent directory that a copy creates, unless there is an octal ``--chmod``."""

_Action = tuple[int, str, str]
"""The bits that may change, a sign, and letters: one of ``ugo``, or any of the others."""
Mode = Callable[[int, bool], int]
"""A function from the mode of an entry, and whether it is a directory, to its new mode."""


def parse_mode(text: str) -> Mode:
    """Return the change of modes that *text* means. Raises ResolveError when it is invalid."""
    if text[:1].isdigit() or not text:
        return _octal(text)
    actions: list[_Action] = []
    for clause in text.split(","):
        found = _CLAUSE.match(clause)
        if found is None:
            raise ResolveError(
                f"invalid chmod parameter: '{text}'. it should be octal or symbolic, such as 0644 or u=rwX,go=rX"
            )
        for step in _ACTION.finditer(found["actions"]):
            actions += _actions(found["who"], step["sign"], step["what"])
    return lambda mode, is_directory: _applied(actions, mode & _ALL, is_directory=is_directory)


def mode_of_made(text: str) -> int:
    """Return the mode of directories that a copy with ``--chmod=text`` creates: its destination and its parents.

    mkdir(2) takes nine bits. As in BuildKit, a symbolic mode does not apply, because there is no mode to change.
    """
    return parse_mode(text)(0, True) & 0o777 if text[:1].isdigit() else MADE


def _actions(who: str, sign: str, what: str) -> Iterator[_Action]:
    """Return the actions that *sign* and the letters *what* stand for: ``u=rgX`` sets r, then copies g, then adds X.

    The rules are those of BSD's setmode(3), which BuildKit has: s and t mean nothing to others, X clears nothing when
    ``=`` sets it beside a copy, and ``-X`` is ``-x``.
    """
    groups = re.findall(r"[rwxXst]+|[ugo]", what.translate(_SPECIAL) if set(who) == {"o"} else what)
    reach, copies = _reach(who), any(group in _SHIFTS for group in groups)
    for group in groups or [""]:
        if "t" in group:
            # "+t" without a letter before it reaches the sticky bit alone.
            reach = reach | _STICKY if who else _STICKY
        plain = group.replace("X", "")
        if plain or not copies:
            yield reach, sign, plain
        if plain != group:
            yield reach, "-" if sign == "-" else "+", "x" if sign == "-" else "X"


def _reach(who: str) -> int:
    """Return the bits that a clause changes. The sticky bit is among them as soon as there is a ``t``."""
    reach = 0
    for letter in who or "a":
        reach |= _REACH[letter]
    return reach


def _octal(text: str) -> Mode:
    try:
        number = parse_uint32(text, 8)
    except ValueError:
        number = _ALL + 1
    if number > _ALL:
        raise ResolveError(f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777")
    return lambda _mode, _is_directory: number


def _applied(actions: list[_Action], mode: int, *, is_directory: bool) -> int:
    # X tests the mode before all clauses: "-x,+X" does not restore the bits that it removed.
    runs = is_directory or bool(mode & 0o111)
    for reach, sign, what in actions:
        # Copied are the nine lower bits: "u=g" leaves the set-id bit as it was.
        changed = reach & 0o777 if what in _SHIFTS else reach
        bits = _wanted(what, mode, runs=runs) & changed
        if sign == "+":
            mode |= bits
        elif sign == "-":
            mode &= ~bits
        else:
            mode = mode & ~changed | bits
    return mode


def _wanted(what: str, mode: int, *, runs: bool) -> int:
    if what in _SHIFTS:
        return (mode >> _SHIFTS[what] & 0o7) * 0o111
    bits = 0
    for letter in what:
        bits |= _BITS[letter] if letter != "X" or runs else 0
    return bits
