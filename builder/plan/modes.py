"""File modes as ``--chmod`` takes them: octal, or symbolic as in chmod(1): ``u=rwX,go=rX``."""

import re
from collections.abc import Callable

from pybuild.builder.errors import ResolveError
from pybuild.grammar.golang import parse_uint32

_ALL = 0o7777
_CLAUSE = re.compile(r"(?P<who>[ugoa]*)(?P<actions>(?:[-+=](?:[rwxXst]*|[ugo]))+)\Z")
_ACTION = re.compile(r"(?P<sign>[-+=])(?P<what>[rwxXstugo]*)")
_SHIFTS = {"u": 6, "g": 3, "o": 0}
_BITS = {"r": 0o444, "w": 0o222, "x": 0o111, "s": 0o6000, "t": 0o1000}
_STICKY = 0o1000
_REACH = {"u": 0o4700, "g": 0o2070, "o": 0o007, "a": 0o6777}
"""The bits that a clause may change, by the letter before the sign. The sticky bit is in none: see `_reach`."""
MADE = 0o755
"""The mode of a parent directory that a copy creates, unless there is an octal ``--chmod``."""

_Action = tuple[int, str, str]
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
        who, steps = found["who"], _ACTION.finditer(found["actions"])
        actions += [(_reach(who, step["what"]), step["sign"], step["what"]) for step in steps]
    return lambda mode, is_folder: _applied(actions, mode & _ALL, is_folder=is_folder)


def mode_of_made(text: str) -> int:
    """Return the mode of directories that a copy with ``--chmod=text`` creates: its destination and its parents.

    mkdir(2) takes nine bits. As in BuildKit, a symbolic mode does not apply, because there is no mode to change.
    """
    return parse_mode(text)(0, True) & 0o777 if text[:1].isdigit() else MADE


def _reach(who: str, what: str) -> int:
    """Return the bits that an action changes, by the rules of BSD's setmode(3), which BuildKit has.

    The sticky bit is reached by who writes ``t`` and means more than the others. Nobody at all, as in ``+t``, reaches
    everything, but that bit alone as soon as there is a ``t``.
    """
    if not who:
        return _STICKY if "t" in what else _REACH["a"]
    reach = 0
    for letter in who:
        reach |= _REACH[letter]
    return reach | _STICKY if "t" in what and set(who) != {"o"} else reach


def _octal(text: str) -> Mode:
    try:
        number = parse_uint32(text, 8)
    except ValueError:
        number = _ALL + 1
    if number > _ALL:
        raise ResolveError(f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777")
    return lambda _mode, _is_folder: number


def _applied(actions: list[_Action], mode: int, *, is_folder: bool) -> int:
    # X tests the mode before all clauses: "-x,+X" does not restore the bits that it removed.
    runs = is_folder or bool(mode & 0o111)
    for reach, sign, what in actions:
        bits = _wanted(what, mode, runs=runs) & reach
        if sign == "+":
            mode |= bits
        elif sign == "-":
            mode &= ~bits
        else:
            mode = mode & ~reach | bits
    return mode


def _wanted(what: str, mode: int, *, runs: bool) -> int:
    if what in _SHIFTS:
        return (mode >> _SHIFTS[what] & 0o7) * 0o111
    bits = 0
    for letter in what:
        bits |= _BITS["x"] * runs if letter == "X" else _BITS[letter]
    return bits
