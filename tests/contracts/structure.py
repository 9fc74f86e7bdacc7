"""Figures of how the code is laid out: `python -m tests.contracts.structure [REPOSITORY]` prints them as a table.

A *module* is a file of `builder/`, `runtime/` or `grammar/` with code of its own; `__init__.py` counts only where
lines are counted. Imports inside functions count as others do. `test_structure.py` holds the limits.
"""

import ast
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import networkx as nx

REPOSITORY = Path(__file__).parents[2]
ROOTS = ("builder", "grammar", "runtime")
_MAKERS = ("dataclass", "frozen")
SMALL = 40
MANY = 5
LARGE = 10
"""A value of so many fields is large: each module that imports it depends on all of them."""


@dataclass(frozen=True)
class Module:
    """A file: its name with dots, without the package `pybuild`, its parsed text and all statements in it."""

    name: str
    path: Path
    lines: int
    tree: ast.Module
    statements: tuple[ast.AST, ...]

    @property
    def directory(self) -> str:
        """The directory of the file, with slashes."""
        return self.path.parent.as_posix()

    @property
    def is_package(self) -> bool:
        """Whether the file is an `__init__.py`."""
        return self.path.name == "__init__.py"


class Structure:
    """The modules of a repository and what imports what."""

    def __init__(self, repository: Path) -> None:
        self.repository = repository
        paths = sorted(path for root in ROOTS for path in (repository / root).rglob("*.py"))
        self.modules = {module.name: module for module in (_read(repository, path) for path in paths)}

    @cached_property
    def imports(self) -> dict[str, set[str]]:
        """The modules that each module imports, by name, itself left out."""
        return {name: {target for target, _ in self._names(name)} - {name} for name in self.modules}

    @cached_property
    def importers(self) -> dict[str, set[str]]:
        """The modules that import each module."""
        found: dict[str, set[str]] = {name: set() for name in self.modules}
        for name, targets in self.imports.items():
            for target in targets:
                found[target].add(name)
        return found

    def _names(self, name: str) -> Iterator[tuple[str, str]]:
        """Yield (module, name in it) for each name that is imported; an empty name is the module itself."""
        for node in self.modules[name].statements:
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                source = node.module.removeprefix("pybuild.")
                for alias in node.names:
                    if f"{source}.{alias.name}" in self.modules:
                        yield f"{source}.{alias.name}", ""
                    elif source in self.modules:
                        yield source, alias.name
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    if (source := alias.name.removeprefix("pybuild.")) in self.modules:
                        yield source, ""

    def directories(self) -> Counter[str]:
        """The number of modules in each directory."""
        return Counter(module.directory for module in self.modules.values() if not module.is_package)

    def files(self) -> dict[str, int]:
        """The number of lines of each file, by path."""
        return {module.path.as_posix(): module.lines for module in self.modules.values()}

    def functions(self) -> dict[str, int]:
        """The number of lines of each function, by module and name; those of functions inside count twice."""
        return {
            f"{module.name}.{node.name}:{node.lineno}": (node.end_lineno or node.lineno) - node.lineno + 1
            for module in self.modules.values()
            for node in module.statements
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }

    def arguments(self) -> dict[str, int]:
        """The number of arguments of each function, by module and name."""
        return {
            f"{module.name}.{node.name}:{node.lineno}": sum(map(len, (each.posonlyargs, each.args, each.kwonlyargs)))
            - bool(each.args and each.args[0].arg in {"self", "cls"})
            for module in self.modules.values()
            for node in module.statements
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            for each in (node.args,)
        }

    def values(self) -> dict[tuple[str, str], int]:
        """The number of fields of each dataclass, by module and class."""
        return {
            (module.name, node.name): sum(isinstance(line, ast.AnnAssign) for line in node.body)
            for module in self.modules.values()
            for node in module.statements
            if isinstance(node, ast.ClassDef) and any(_maker(each) in _MAKERS for each in node.decorator_list)
        }

    def value_importers(self) -> dict[tuple[str, str], int]:
        """The number of modules that import each dataclass by name."""
        counted = Counter(pair for name in self.modules for pair in set(self._names(name)))
        return {value: counted[value] for value in self.values()}

    def warm_modules(self) -> list[str]:
        """The modules that a build loads in which nothing changed, packages left out."""
        with tempfile.TemporaryDirectory() as directory:
            context = Path(directory, "context")
            context.mkdir()
            context.joinpath("file").write_text("content")
            context.joinpath("Dockerfile").write_text("FROM scratch\nCOPY file /\nENV A=b\n")
            time.sleep(0.05)  # files younger than a tick of the clock are read again, by design
            loaded = [_loaded(self.repository, Path(directory, "store"), context) for _ in range(2)][-1]
        return [name for name in loaded if not self.modules[name].is_package]

    def with_one_importer(self, *, below: int | None = None) -> set[str]:
        """The modules that exactly one other module imports: all, or those of less lines than *below*."""
        return {
            module.path.as_posix()
            for module in self.modules.values()
            if not module.is_package and len(self.importers[module.name]) == 1
            if below is None or module.lines < below
        }

    def small(self) -> set[str]:
        """The modules of less than `SMALL` lines."""
        return {
            module.path.as_posix() for module in self.modules.values() if not module.is_package and module.lines < SMALL
        }

    def without_test(self) -> set[str]:
        """The modules for which no test file stands at the same place with the same name."""
        return {
            module.path.as_posix()
            for module in self.modules.values()
            if not module.is_package and not (self.repository / _test_of(module.path)).exists()
        }

    def cycles(self) -> list[list[str]]:
        """The groups of directories that import each other in a circle.

        The modules that lie beside directories, such as `builder/errors.py`, count one by one: the top and the bottom
        of a program may lie in one directory.
        """
        mixed = {parent.as_posix() for module in self.modules.values() for parent in module.path.parent.parents}
        places = {
            name: name if module.directory in mixed else module.directory for name, module in self.modules.items()
        }
        graph = nx.DiGraph()
        for name, targets in self.imports.items():
            graph.add_edges_from((places[name], places[target]) for target in targets)
        return [sorted(group) for group in nx.strongly_connected_components(graph) if len(group) > 1]


def _read(repository: Path, path: Path) -> Module:
    text = path.read_text("utf-8")
    inside = path.relative_to(repository)
    parts = inside.parent.parts if path.name == "__init__.py" else inside.with_suffix("").parts
    tree = ast.parse(text)
    return Module(".".join(parts), inside, len(text.splitlines()), tree, tuple(statements(tree)))


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements at any depth of *node*, with clauses such as `except`.

    Expressions, which `ast.walk` would visit as well, are most of a text, and hold none.
    """
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        for child in getattr(node, name, ()):
            yield child
            yield from statements(child)


def _maker(node: ast.expr) -> str:
    node = node.func if isinstance(node, ast.Call) else node
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _test_of(path: Path) -> Path:
    return "tests" / path.parent / f"test_{path.stem.strip('_')}.py"


def _loaded(repository: Path, store: Path, context: Path) -> list[str]:
    """Build, and return which of our modules were loaded, as `-X importtime` reports them."""
    package, source = ("pybuild", ".src") if (repository / ".src").exists() else ("builder", ".")
    command = [sys.executable, "-X", "importtime", "-m", package, "build", "--root", os.fspath(store)]
    command += ["-q", "-t", "warm", os.fspath(context)]
    environment = {**os.environ, "PYTHONPATH": os.fspath(repository / source)}
    done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=True, timeout=120)
    names = (line.rpartition("|")[2].strip().removeprefix("pybuild.") for line in done.stderr.splitlines())
    return sorted({name for name in names if name.partition(".")[0] in ROOTS})


def figures(structure: Structure) -> dict[str, int]:
    """Each figure by its name; all are better when they are smaller."""
    values, importers = structure.values(), structure.value_importers()
    large = [value for value, fields in values.items() if fields >= LARGE]
    most = max(large, key=lambda value: importers[value], default=None)
    functions, files = structure.functions().values(), structure.files().values()
    return {
        "modules": sum(structure.directories().values()),
        "modules in the largest directory": max(structure.directories().values()),
        "lines of the longest file": max(files),
        "files of more than 250 lines": sum(lines > 250 for lines in files),
        "lines of the longest function": max(functions),
        "functions of more than five arguments": sum(count > MANY for count in structure.arguments().values()),
        "fields of the largest value": max(values.values()),
        "importers of a large value": importers[most] if most else 0,
        "importers of its module": len(structure.importers[most[0]]) if most else 0,
        "importers of the most imported value": max(importers.values()),
        "modules of less than 40 lines": len(structure.small()),
        "modules with one importer": len(structure.with_one_importer()),
        "modules with one importer, of less than 40 lines": len(structure.with_one_importer(below=SMALL)),
        "modules without a test of their name": len(structure.without_test()),
        "modules that a warm build loads": len(structure.warm_modules()),
        "directories in import cycles": sum(len(cycle) for cycle in structure.cycles()),
    }


def details(structure: Structure) -> dict[str, list[str]]:
    """What stands behind the figures: the first of each kind, largest first."""
    named: dict[str, list[str]] = defaultdict(list)
    values, importers = structure.values(), structure.value_importers()
    tops: dict[str, list[tuple[str, int]]] = {
        "directories": list(structure.directories().items()),
        "files": list(structure.files().items()),
        "functions": list(structure.functions().items()),
        "arguments": list(structure.arguments().items()),
        "values by fields": [(".".join(value), fields) for value, fields in values.items()],
        "values by importers": [(".".join(value), count) for value, count in importers.items()],
    }
    for kind, entries in tops.items():
        named[kind] = [f"{count:5} {name}" for name, count in sorted(entries, key=lambda pair: -pair[1])[:5]]
    named["small, one importer"] = sorted(structure.with_one_importer(below=SMALL))
    named["cycles"] = [" ".join(cycle) for cycle in structure.cycles()]
    return named


def main() -> None:
    """Print the figures of a repository."""
    structure = Structure(Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY)
    sys.stdout.writelines(f"{figure:6}  {name}\n" for name, figure in figures(structure).items())
    for kind, lines in details(structure).items():
        sys.stdout.write("\n    ".join(["", kind, *lines]).replace("\n    ", "\n", 1) + "\n")


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends it without a traceback
    main()
