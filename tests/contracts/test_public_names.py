"""What a program that embeds pybuild may rely on: these names, loaded when they are used."""

import ast
import inspect
import pydoc
import re
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path
from typing import Any

import pytest

import pybuild
from pybuild import errors, events, request
from pybuild.runtime.values import fields

PUBLIC = (
    "Cancel Command Container Image Network Outcome Pruned RegistryAccess Request Store become_root build containers copy create_network errors events inspect list load networks prune pull push request run save"
    " start tag"
)
ERRORS = (
    "Cancelled ContainerError DockerfileError HostError ImageError ImageNotFound LoadFailed NetworkError PullFailed PushFailed PybuildError RequestError"
    " ResolveError SandboxUnavailable StepFailed StoreError TimedOut"
)
EVENTS = (
    "Event LayerMade PlannedStep Progress StepFinished StepOutput StepStarted StepStatus StepsPlanned Warned silent"
)
REQUEST = (
    "Annotation Caches Compression Device DockerOutput Execution Files GhaCache ImageOutput InlineCache"
    " LoadOutput LocalCache LocalOutput OciOutput Planning RegistryCache RegistryOutput Request Resources Result"
    " Rights Secret Shape Stored TarOutput Target Volume"
)


MODULES = {"errors", "events", "request"}
PARTS = (request.Files, request.Planning, request.Execution, request.Result, request.Caches)


def test_these_names_are_public_and_no_others() -> None:
    assert sorted(pybuild.__all__) == PUBLIC.split()
    assert sorted(errors.__all__) == ERRORS.split()
    assert sorted(events.__all__) == EVENTS.split()
    assert sorted(request.__all__) == REQUEST.split()


def test_each_public_name_is_there_and_is_documented() -> None:
    for module in (pybuild, errors, events, request):
        for name in module.__all__:
            found = getattr(module, name)
            assert name in {"Event", "Progress"} or inspect.getdoc(found), f"{module.__name__}.{name}"
            assert name in dir(module)


def examples(doc: str) -> list[ast.Call]:
    """The calls of public names in the indented lines of *doc*, which must be Python."""
    lines = [
        line for line in doc.partition("Raises:")[0].split("\n")[1:] if line.startswith("    ") or not line.strip()
    ]
    tree = ast.parse(textwrap.dedent("\n".join(lines)))
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node).startswith("pybuild.")]


@pytest.mark.parametrize("name", sorted({*pybuild.__all__} - MODULES - {"Container"}))
def test_each_public_name_has_an_example_that_calls_what_there_is(name: str) -> None:
    calls = examples(inspect.getdoc(getattr(pybuild, name)) or "")
    assert calls
    for call in calls:
        target: Any = pybuild
        for part in ast.unparse(call.func).split(".")[1:]:
            target = getattr(target, part)
        given = dict.fromkeys(str(keyword.arg) for keyword in call.keywords)
        if target is pybuild.Request.of:
            assert given.keys() <= {field.name for part in PARTS for field in fields(part)}
        else:
            inspect.signature(target).bind(*call.args, **given)


def test_every_error_has_the_one_root() -> None:
    assert all(issubclass(getattr(errors, name), errors.PybuildError) for name in errors.__all__)


def test_help_shows_the_public_names_with_their_arguments() -> None:
    text = pydoc.plain(pydoc.render_doc(pybuild))
    assert "build(request: " in text
    assert re.search(r"Request\([\s|]*\*,[\s|]*files: ", text)  # Python 3.14 writes an argument a line


def test_importing_the_package_loads_nothing_more() -> None:
    script = "import sys; before = set(sys.modules); import pybuild; print(*sorted(set(sys.modules) - before))"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["pybuild"]


def test_a_name_that_is_not_public_is_no_attribute() -> None:
    assert not hasattr(pybuild, "nonsense")


def test_an_import_from_a_zip_archive_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "app.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.write(pybuild.__file__, "pybuild/__init__.py")
    script = f"import sys; sys.path.insert(0, {str(archive)!r}); import pybuild"
    ended = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=False)
    assert "ImportError: pybuild cannot run from a zip archive" in ended.stderr
