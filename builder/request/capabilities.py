"""Which capabilities the processes of a container, or of a RUN, have by ``--cap-add`` and ``--cap-drop``."""

from collections.abc import Iterable

from pybuild.builder.errors import RequestError
from pybuild.runtime.kernel.capabilities import DEFAULT, EVERY, NAMES, mask

ALL, _PREFIX = "ALL", "CAP_"


def named(add: Iterable[str], drop: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what is added and dropped, in order and with the names that Docker shows.

    Raises RequestError for what is no capability.
    """
    return _names(add, "CapAdd"), _names(drop, "CapDrop")


def _names(given: Iterable[str], member: str) -> tuple[str, ...]:
    return tuple(sorted({_name(text, member) for text in given}))


def _name(text: str, member: str) -> str:
    name = text.upper()
    if name == ALL:
        return ALL
    if name.removeprefix(_PREFIX) not in NAMES:
        raise RequestError(
            f'invalid {member}: unknown capability: "{_PREFIX}{name.removeprefix(_PREFIX)}"',
            hint="use a name such as NET_ADMIN, or ALL",
        )
    return f"{_PREFIX}{name.removeprefix(_PREFIX)}"


def capabilities(added: tuple[str, ...], dropped: tuple[str, ...], held: int) -> int:
    """Return the capabilities of a process as a set; the arguments are those of `named`.

    What is in both is added, unless that says ALL.

    Raises RequestError for one that is added by name and is not among *held*, which are this process's own.
    """
    wanted, refused = _set(added), _set(dropped)
    if ALL in added:
        return EVERY & ~refused
    for number, name in enumerate(NAMES):
        if wanted & ~held & 1 << number:
            raise RequestError(f"cannot add the capability {_PREFIX}{name}: pybuild does not have it here itself")
    # As in Docker, `--cap-drop ALL --cap-add X` leaves X alone.
    return wanted if ALL in dropped else DEFAULT & ~refused | wanted


def _set(names: tuple[str, ...]) -> int:
    return mask(*(name.removeprefix(_PREFIX) for name in names if name != ALL))
