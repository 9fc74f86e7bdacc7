"""What these commands share: reading a command line with few known flags, and finding the container that it names."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pybuild.builder.cli.tools import session
from pybuild.builder.store.directory import default_root
from pybuild.runtime.sandbox.isolation import VARIABLE
from pybuild.runtime.values import frozen

if TYPE_CHECKING:
    from pybuild.builder.containers.catalog import StoredContainer


@frozen
class KnownFlags:
    """The flags that a command knows, by each of their names.

    *ones* have one value, *many* are repeated, *switches* have none. With *interspersed* flags may also follow the
    first word that is not a flag.
    """

    ones: Mapping[str, str] = {}
    many: Mapping[str, str] = {}
    switches: Mapping[str, str] = {}
    interspersed: bool = False


@frozen
class UsualWords:
    """A command line: the values of its flags, by the names that `KnownFlags` gives them, and its other words."""

    values: Mapping[str, Sequence[str]]
    words: Sequence[str]

    def one(self, name: str) -> str | None:
        """Return the value of a flag, None when it was not given."""
        return self.values[name][-1] if name in self.values else None

    def many(self, name: str) -> tuple[str, ...]:
        """Return the values of a flag in their order."""
        return tuple(self.values.get(name, ()))

    def has(self, name: str) -> bool:
        """Return whether a flag without a value was given."""
        return name in self.values


def read(words: Sequence[str], known: KnownFlags) -> UsualWords | None:
    """Read the command line *words*; return None when it has an unknown flag, or could be a mistake."""
    values: dict[str, list[str]] = {}
    plain: list[str] = []
    rest = list(words)[::-1]
    while rest:
        word = rest.pop()
        if not word.startswith("-"):
            plain.append(word)
            if not known.interspersed:
                return UsualWords(values=values, words=(*plain, *rest[::-1]))
            continue
        if (letters := _switches(word, known)) is not None:
            for name in letters:
                values[name] = [name]
            continue
        before, letter = word[:-1], f"-{word[-1]}"
        if (letter in known.ones or letter in known.many) and (letters := _switches(before, known)):
            values.update({name: [name] for name in letters})
            word = letter
        name, equals, value = word.partition("=")
        wanted = known.ones.get(name) or known.many.get(name)
        # For click "-t=x" is the value "=x" of -t.
        if wanted is None or (equals and name[1] != "-") or not (equals or rest):
            return None
        value = value if equals else rest.pop()
        if not value or value.startswith("-") or (name in known.ones and wanted in values):
            return None
        values.setdefault(wanted, []).append(value)
    return UsualWords(values=values, words=plain)


def _switches(word: str, known: KnownFlags) -> list[str] | None:
    """Return the names of the switches in *word*, such as ``-it``; None when it is anything else."""
    names = [word] if word.startswith("--") else [f"-{letter}" for letter in word[1:]]
    found = [known.switches.get(name, "") for name in names]
    return found if found and all(found) else None


def own_root() -> Path | None:
    """Return the directory of the store; None when it is missing, or others may access it.

    `Store.open` then has the message. None is also returned when an isolation was chosen, which click's commands check.
    """
    if VARIABLE in os.environ:
        return None
    given = session().root
    root = Path(given).absolute() if given else default_root().absolute()
    try:
        found = os.stat(root)
    except OSError:
        return None
    return root if found.st_uid == os.geteuid() and not found.st_mode & 0o077 else None


def found_container(name: str) -> "StoredContainer | None":
    """Return the container that *name* names; None when it is not found: click's commands have the message."""
    # Imported here because `run` without a container reads its words with this module, too.
    from pybuild.builder.containers.catalog import find
    from pybuild.builder.containers.errors import NoSuchContainer
    from pybuild.builder.errors import StoreError

    root = own_root()
    if root is None:
        return None
    try:
        return find(root, name)
    except (NoSuchContainer, StoreError, OSError):
        return None
