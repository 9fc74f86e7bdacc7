"""Why a module is on its own although it is small, or although one other module alone imports it.

The rule: a module of less than 40 lines, and one with exactly one importer, is folded into a module that imports it.
The kinds of modules that the rule spares are below; all but `PROMISES`, which spares small modules with several
importers, follow from the code. A module of no kind is folded. `python -m tests.contracts.kinds` lists the modules with
one importer.
"""

import ast
import signal
import sys
from collections import Counter
from collections.abc import Iterator

from tests.contracts.structure import REPOSITORY, SMALL, Module, Structure

PROGRAM, PROMISE = "program", "promise"
ONE_PER_KIND = {"one of a table", "command"}
"""Kinds of which there are as many modules as things; what else is spared is an exception."""
TOGETHER = 200
"""A module and its only importer stay apart when the file of both would have more lines."""

TABLES = {
    "builder/cli/commands/build/build.py": "builder/cli/flags",
    "builder/execute/ops.py": "builder/execute",
    "builder/oci/archive/load.py": "builder/oci/archive",
    "builder/outputs/engines/choose.py": "builder/outputs/engines",
    "builder/outputs/kinds.py": "builder/outputs",
}
"""Modules that name one module for each thing of a kind, and the directory of those."""

COMMANDS = "builder/cli/commands"
"""One module per command; a table of names imports them."""

PROGRAMS = {
    "runtime/chrooted/bootstrap.py",
    "runtime/emulation/trial.py",
    "runtime/sandbox/inside/bootstrap.py",
    "runtime/sandbox/probe.py",
}
"""Programs that another process starts by their path. They stay short, because Python compiles them each time."""

LAYERS = ("grammar/", "runtime/", "builder/oci/", "builder/cli/")
"""Directories that a contract of `pyproject.toml` keeps apart: what one needs of another is not folded into it."""

PROMISES = {
    "builder/cli/flags/no_op.py": "the flags that do nothing, accepted for compatibility",
    "builder/cli/flags/values.py": "the types of values that several flags have",
    "builder/cli/image_events.py": "events of images in the log",
    "builder/display/text_width.py": "the width of a text on a terminal",
    "runtime/sandbox/results.py": "how a process ended, for those that have no other use for the launcher",
    "builder/oci/documents.py": "the kind of a document that nobody vouches for",
    "builder/oci/limits.py": "the limits for a hostile layer",
    "builder/oci/registry/access.py": "the settings of a command line for registries",
    "builder/oci/registry/auth/challenge.py": "the grammar of WWW-Authenticate",
    "builder/outputs/free_space.py": "the last megabytes of a disk stay free",
    "builder/prune/usage.py": "the size of a tree on the disk",
    "builder/signals.py": "signals by name and number",
    "builder/sources/server_answers.py": "what servers answered about sources",
    "builder/sources/secrets.py": "the value of a secret, which nothing stores",
    "builder/sources/tree.py": "a remote source in a plan",
    "builder/store/notices.py": "what the user of a store is told once",
    "builder/transports/copy.py": "copying an image",
    "grammar/hints.py": "hints for messages of Docker that have none",
    "runtime/kernel/capabilities.py": "the names of capabilities",
    "runtime/kernel/user_namespace.py": "whether this is the host's user namespace",
    "runtime/monitor/messages.py": "the protocol of a monitor and its clients",
    "runtime/paths/replacing.py": "a file that is replaced as a whole",
    "runtime/paths/scratch.py": "a temporary directory that a killed process leaves to be swept",
    "runtime/rootfs/roots.py": "what a rootfs is made of",
    "runtime/running.py": "runs a process in the isolation that there is",
    "runtime/sandbox/hostfiles.py": "the files that a sandbox has from its host",
    "runtime/snapshots/copy_mark.py": "the mark of a tree that is a copy, part of the layout of a store",
    "runtime/snapshots/change.py": "one difference between two snapshots",
    "runtime/supervisor/values.py": "the protocol of a supervisor and its starter",
}
"""Modules whose names a reader looks for, each with its promise; several others import them."""


def kinds(structure: Structure) -> dict[str, list[str]]:
    """Return the kinds of each module that the rule is about, by its path."""
    libraries = Counter(library for module in structure.modules.values() for library in _libraries(module))
    return {
        module.path.as_posix(): list(_kinds(structure, module, libraries))
        for module in structure.modules.values()
        if _is_meant(structure, module)
    }


def exceptions(structure: Structure) -> Counter[str]:
    """Return how many modules with one importer are spared for each reason; one that has several counts for the first.

    Those of `ONE_PER_KIND` are not counted.
    """
    found, single = kinds(structure), structure.with_one_importer()
    first = (found[path][0] for path in single if found[path])
    return Counter(reason for reason in first if reason not in ONE_PER_KIND)


def _is_meant(structure: Structure, module: Module) -> bool:
    return not module.is_package and (module.lines < SMALL or len(structure.importers[module.name]) == 1)


def _kinds(structure: Structure, module: Module, libraries: Counter[str]) -> Iterator[str]:
    path = module.path.as_posix()
    importers = [structure.modules[name] for name in structure.importers[module.name]]
    if any(TABLES.get(importer.path.as_posix()) == module.directory for importer in importers):
        yield "one of a table"
    if module.directory.startswith(f"{COMMANDS}/") and _defines(module, "command"):
        yield "command"
    if path in PROGRAMS:
        yield PROGRAM
    if importers and all(not _imports_at_once(importer, module.name) for importer in importers):
        yield "loaded when it is needed"
    if any(libraries[library] == 1 for library in _libraries(module)):
        yield "the only importer of a library"
    if len(importers) == 1:
        yield from _kinds_beside(importers[0], module)
        return
    if module.path.stem == "errors":
        yield "errors of a package"
    if path in PROMISES:
        yield PROMISE


def _kinds_beside(importer: Module, module: Module) -> Iterator[str]:
    """Yield the kinds that *module* has because of its only *importer*."""
    if importer.path.as_posix() in PROGRAMS:
        yield "loaded by a program"
    if _layer(importer) != _layer(module):
        yield "of another layer than its importer"
    if importer.lines + _lines_of_code(module) > TOGETHER:
        yield "too long together"


def _lines_of_code(module: Module) -> int:
    """Return the number of lines of *module* after its docstring and imports, which are not folded."""
    header = [node for node in module.tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    return module.lines - max((node.end_lineno or 0 for node in header), default=0)


def _defines(module: Module, name: str) -> bool:
    return any(isinstance(node, ast.FunctionDef) and node.name == name for node in module.tree.body)


def _layer(module: Module) -> str:
    return next((layer for layer in LAYERS if f"{module.directory}/".startswith(layer)), "")


def _imports_at_once(importer: Module, name: str) -> bool:
    """Return whether *importer* imports the module *name* when it is imported itself, and not later in a function."""
    found = set()
    for node in importer.tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return f"pybuild.{name}" in found


def _libraries(module: Module) -> set[str]:
    """Return the packages outside of the standard library that *module* imports."""
    names: set[str] = set()
    for node in module.statements:
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - {"pybuild"}


def main() -> None:
    """Print the modules with one importer, each with this importer and with what spares it."""
    structure = Structure(REPOSITORY)
    found, single = kinds(structure), structure.with_one_importer()
    for module in structure.modules.values():
        path = module.path.as_posix()
        if path in single:
            (importer,) = structure.importers[module.name]
            sys.stdout.write(f"{path} <- {structure.modules[importer].path}: {', '.join(found[path])}\n")


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends it without a traceback
    main()
