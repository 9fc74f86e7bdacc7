"""What a program that embeds pybuild may rely on: these names, loaded when they are used."""

import inspect
import pydoc
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pybuild
from pybuild import errors, events, request

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
