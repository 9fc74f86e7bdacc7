"""The layout of the code gets no worse: limits that may be lowered, and raised only with a reason.

`python -m tests.contracts.structure` prints the figures and what stands behind them.
"""

from collections import Counter
from operator import itemgetter
from pathlib import Path

import pytest

from tests.contracts.kinds import PROGRAM, PROGRAMS, PROMISE, PROMISES, TABLES, exceptions, kinds
from tests.contracts.structure import REPOSITORY, Structure, figures

# At the figures of today, or a little above where one more of a kind is usual.
LIMITS = {
    "modules in the largest directory": 25,
    "lines of the longest file": 348,
    "files of more than 250 lines": 5,
    "lines of the longest function": 60,
    # Commands count, too. The constructors of records of the child have one argument for each slot.
    "functions of more than five arguments": 23,
    "fields of the largest value": 22,
    "importers of a large value": 17,
    "importers of its module": 65,
    "importers of the most imported value": 66,
    "modules without a test of their name": 82,
    "modules with one importer, of less than 40 lines": 6,
    # One less on a disk that is nearly full: the first of the two builds has looked at the limits of the store then.
    "modules that a warm build loads": 56,
    "directories in import cycles": 0,
}
EXCEPTIONS = {
    "too long together": 61,
    "loaded when it is needed": 47,
    "of another layer than its importer": 14,
    "the only importer of a library": 2,
    "loaded by a program": 1,
}
"""How many modules with one importer are not folded into it, by reason. Those of `ONE_PER_KIND` are no exceptions."""
LONG, LONGEST = 250, 300
LONGER = {"runtime/kernel/syscalls.py", "grammar/nodes.py"}
"""Files that may have more than `LONGEST` lines: each is one table, or one set of rules, that is read as a whole."""


@pytest.fixture(scope="module")
def structure() -> Structure:
    return Structure(REPOSITORY)


@pytest.fixture(scope="module")
def found(structure: Structure) -> dict[str, int]:
    return figures(structure)


@pytest.mark.parametrize("name", LIMITS)
def test_no_figure_is_worse_than_its_limit(name: str, found: dict[str, int], structure: Structure) -> None:
    files = sorted(structure.files().items(), key=itemgetter(1))
    grown = ", ".join(f"{path} ({lines})" for path, lines in files if lines > LONG)
    assert found[name] <= LIMITS[name], (
        f"{name}: divide what has grown, or raise the limit with a reason; `python -m tests.contracts.structure` shows "
        f"what is behind the figures, and files of more than {LONG} lines are {grown}"
    )


def test_no_file_is_longer_than_what_can_be_read_at_once(structure: Structure) -> None:
    assert {path for path, lines in structure.files().items() if lines > LONGEST} <= LONGER


def test_small_modules_and_those_with_one_importer_have_a_reason(structure: Structure) -> None:
    assert {path for path, reasons in kinds(structure).items() if not reasons} == set()


def test_no_more_modules_with_one_importer_are_spared(structure: Structure) -> None:
    found = exceptions(structure)
    assert found <= Counter(EXCEPTIONS), (
        f"fold the new module into its importer, or raise the limit with a reason: {dict(found)}; "
        "`python -m tests.contracts.kinds` lists what is spared"
    )


def test_no_reason_outlives_its_module(structure: Structure) -> None:
    found = kinds(structure)
    assert {path for path in PROMISES if found.get(path) != [PROMISE]} == set()
    assert {path for path in PROGRAMS if PROGRAM not in found.get(path, ())} == set()
    assert {path for path in TABLES if not (REPOSITORY / path).exists()} == set()


def test_a_module_that_serves_one_other_alone_has_no_reason(tmp_path: Path) -> None:
    files = {
        "builder/a/one.py": "from pybuild.builder.a import lazy, two\n\n\ndef f():\n    from pybuild.builder.a.late import X\n",
        "builder/a/two.py": "",
        "builder/a/lazy.py": "X = 1\n" * 250,
        "builder/a/late.py": "X = 1\n",
        "builder/b/library.py": "import requests\n",
        "runtime/c.py": "",
        "builder/b/main.py": "from pybuild.runtime import c\nfrom pybuild.builder.a.one import f\nfrom pybuild.builder.b import library\n",
        "runtime/chrooted/bootstrap.py": "from pybuild.runtime.chrooted import keeper\n",
        "runtime/chrooted/keeper.py": "",
    }
    made = _repository(tmp_path, files)
    assert kinds(made) == {
        "builder/a/one.py": [],
        "builder/a/two.py": [],
        "builder/a/lazy.py": ["too long together"],
        "builder/a/late.py": ["loaded when it is needed"],
        "builder/b/library.py": ["the only importer of a library"],
        "builder/b/main.py": [],
        "runtime/c.py": ["of another layer than its importer"],
        "runtime/chrooted/bootstrap.py": [PROGRAM],
        "runtime/chrooted/keeper.py": ["loaded by a program"],
    }
    assert sum(exceptions(made).values()) == 5


def test_a_promise_spares_no_module_with_one_importer(tmp_path: Path) -> None:
    promise = next(path for path in PROMISES if path.startswith("builder/store/"))
    files = {promise: "", "builder/store/one.py": f"import pybuild.{promise.removesuffix('.py').replace('/', '.')}\n"}
    assert kinds(_repository(tmp_path, files))[promise] == []


def test_a_module_beside_a_command_is_not_one_per_kind(tmp_path: Path) -> None:
    name = "builder/cli/commands/image"
    files = {
        f"{name}/tag.py": "from pybuild.builder.cli.commands.image import helper\n\ndef command(): ...\n",
        f"{name}/helper.py": "",
        f"{name}/other.py": "from pybuild.builder.cli.commands.image import tag\n",
    }
    found = kinds(_repository(tmp_path, files))
    assert found[f"{name}/tag.py"] == ["command"]
    assert found[f"{name}/helper.py"] == []


@pytest.mark.parametrize(("lines", "reasons"), [(100, []), (101, ["too long together"])])
def test_the_docstring_and_the_imports_of_a_module_are_not_folded(
    lines: int, reasons: list[str], tmp_path: Path
) -> None:
    imports = '"""A module."""\n\n' + "import os\n" * 50
    files = {
        "builder/a/one.py": "from pybuild.builder.a import two\n" + "X = 1\n" * 99,
        "builder/a/two.py": imports + "X = 1\n" * lines,
    }
    assert kinds(_repository(tmp_path, files))["builder/a/two.py"] == reasons


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
