"""The layout of the code gets no worse: limits that may be lowered, and raised only with a reason.

`python -m tests.contracts.structure` prints the figures and what stands behind them.
"""

from pathlib import Path

import pytest

from tests.contracts.structure import REPOSITORY, SMALL, Structure, figures

# A little above the figures of today, so that one more of a kind needs no edit here, and ten more do.
LIMITS = {
    "modules in the largest directory": 25,
    "lines of the longest file": 349,
    "files of more than 250 lines": 18,
    "lines of the longest function": 60,
    "fields of the largest value": 22,
    "importers of a large value": 18,
    "importers of its module": 70,
    "importers of the most imported value": 68,
    "modules of less than 40 lines": 65,
    # The supervisor of isolation single is one process, in a module for each kind of call.
    "modules with one importer": 146,
    "of these, of less than 40 lines": 15,
    "modules without a test of their name": 166,
    # One less on a disk that is nearly full: the first of the two builds has looked at the limits of the store then.
    "modules that a warm build loads": 63,
    "directories in import cycles": 0,
}
LONGEST = 300
LONGER = {"runtime/kernel/syscalls.py", "builder/content/selection.py", "grammar/nodes.py"}
"""Files that may have more than `LONGEST` lines: each is one table, or one set of rules, that is read as a whole."""

KINDS = {"builder/outputs/kinds.py", "builder/execute/ops.py", "builder/cli/commands/build/build.py"}
"""Tables that list one module for each kind of thing: outputs, ops, groups of flags."""
PERMITTED = set(
    """
builder/content/large_files.py builder/content/large_trees.py builder/content/readahead.py builder/display/ticker.py
builder/oci/archive/directory_entries.py builder/oci/layers/unpack_holes.py builder/outputs/engines/choose.py
builder/store/unpacking.py runtime/snapshots/spreading.py runtime/sandbox/hostfiles.py runtime/sandbox/single_id.py
""".split()
)
"""Other small modules that one module imports: loaded only when needed, or a promise of its own."""


@pytest.fixture(scope="module")
def structure() -> Structure:
    return Structure(REPOSITORY)


@pytest.fixture(scope="module")
def found(structure: Structure) -> dict[str, int]:
    return figures(structure)


@pytest.mark.parametrize("name", LIMITS)
def test_no_figure_is_worse_than_its_limit(name: str, found: dict[str, int]) -> None:
    assert found[name] <= LIMITS[name]


def test_no_file_is_longer_than_what_can_be_read_at_once(structure: Structure) -> None:
    assert {path for path, lines in structure.files().items() if lines > LONGEST} <= LONGER


def test_no_small_module_serves_one_other_alone(structure: Structure) -> None:
    listed = {path for path in structure.with_one_importer(below=SMALL) if _importers(structure, path) <= KINDS}
    assert structure.with_one_importer(below=SMALL) - listed <= PERMITTED


def _importers(structure: Structure, path: str) -> set[str]:
    """Return the paths of the modules that import the module at *path*."""
    (name,) = (module.name for module in structure.modules.values() if module.path.as_posix() == path)
    return {structure.modules[importer].path.as_posix() for importer in structure.importers[name]}


def _repository(root: Path, files: dict[str, str]) -> Structure:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Structure(root)


def test_directories_that_import_each_other_are_a_cycle(tmp_path: Path) -> None:
    one = "from pybuild.builder.b.two import X\n"
    made = _repository(tmp_path, {"builder/a/one.py": one, "builder/a/three.py": "", "builder/b/two.py": "X = 1\n"})
    assert made.cycles() == []
    (tmp_path / "builder/b/two.py").write_text("def f():\n    from pybuild.builder.a import three\n")
    assert Structure(tmp_path).cycles() == [["builder/a", "builder/b"]]


def test_modules_beside_directories_count_one_by_one(tmp_path: Path) -> None:
    files = {
        "builder/top.py": "import pybuild.builder.a.one\n",
        "builder/a/one.py": "from pybuild.builder import errors\n",
        "builder/errors.py": "",
    }
    assert _repository(tmp_path, files).cycles() == []


def test_importers_of_a_value_are_counted_by_name(tmp_path: Path) -> None:
    files = {
        "builder/a.py": "@frozen\nclass Large:\n    one: int\n    two: int\n",
        "builder/b.py": "from pybuild.builder.a import Large\n",
        "builder/c.py": "from pybuild.builder import a\n",
    }
    made = _repository(tmp_path, files)
    assert made.values() == {("builder.a", "Large"): 2}
    assert made.value_importers() == {("builder.a", "Large"): 1}
    assert made.importers["builder.a"] == {"builder.b", "builder.c"}
    assert made.without_test() == {"builder/a.py", "builder/b.py", "builder/c.py"}
