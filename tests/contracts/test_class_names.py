"""A class name means one thing in the whole tree: who meets it a second time need not ask which one it is."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.contracts.structure import REPOSITORY, ROOTS, statements

_DOOR = "what the public door shows of it, under the name that its users know"
_CHILD = "both sides of the border of the sandbox: what the builder asks for, and what the child does about it"
_KEYWORD = "an instruction of the Dockerfile and what it becomes are both called by its keyword"
PERMITTED = {
    "Bind": _CHILD,
    "BindRoot": _CHILD,
    "Command": "click has one that the command line extends, and programs have one that they run",
    "Copy": _KEYWORD,
    "DeviceNode": _CHILD,
    "DirectoryRoot": _CHILD,
    "DockerfileError": _DOOR,
    "FileMount": _CHILD,
    "FileSystem": _CHILD,
    "Healthcheck": _KEYWORD,
    "Image": _DOOR,
    "ImageNotFound": _DOOR,
    "Network": "that of a container under the name that its users know, and the mode of a step without one",
    "OverlayRoot": _CHILD,
    "Process": _CHILD,
    "Run": _KEYWORD,
    "SandboxUnavailable": _DOOR,
    "Tmpfs": _CHILD,
    "Volume": "the instruction is called by its keyword, the flag -v of docker by its name",
}


@cache
def doubled(repository: Path) -> dict[str, list[str]]:
    """The files of each name of a class that is defined more than once. Private ones are seen by their module alone."""
    found = defaultdict(list)
    for path, name in _classes(repository):
        found[name].append(path)
    return {name: paths for name, paths in found.items() if len(paths) > 1 and not name.startswith("_")}


def _classes(repository: Path) -> Iterator[tuple[str, str]]:
    for root in ROOTS:
        for path in sorted((repository / root).rglob("*.py")):
            for node in statements(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ClassDef):
                    yield path.relative_to(repository).as_posix(), node.name


def test_no_name_of_a_class_means_two_things() -> None:
    assert {name: paths for name, paths in doubled(REPOSITORY).items() if name not in PERMITTED} == {}


def test_what_is_permitted_is_needed() -> None:
    assert PERMITTED.keys() <= doubled(REPOSITORY).keys()


def test_a_second_class_of_a_name_is_found(tmp_path: Path) -> None:
    for path, text in {
        "builder/a.py": "class A: ...\nclass _B: ...\n",
        "grammar/b.py": "class A: ...\nclass _B: ...\n",
    }.items():
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_text(text)
    assert doubled(tmp_path) == {"A": ["builder/a.py", "grammar/b.py"]}
