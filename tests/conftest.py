"""What holds for every test: markers by directory, groups for parallel runs, and no skips where CI runs."""

import gc
import os
import signal
import subprocess
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.helpers import cases
from tests.helpers.hosts import need_programs, need_root
from tests.helpers.lab import Lab
from tests.helpers.leftovers import mark_descendants, now, wait_until_no_server

pytest_plugins = ["tests.helpers.drawing"]

TESTS = Path(__file__).parent
MARKED_DIRECTORIES = ("e2e", "interop")
# Seconds that one test may take, with its fixtures, on a machine that is slow and busy. The directories in the list build
# whole images, and the first test there makes the bases of all.
_TIMEOUT, _LONG_TIMEOUT = 300, 1200
_NAMED = 40
"""Bytes of data that may stand in the name of a test."""
_BEGIN = now()
_LEFT = pytest.StashKey[list[str]]()
NO_SKIPS = bool(os.environ.get("PYBUILD_TESTS_NO_SKIPS"))

mark_descendants()

# Under nohup SIGHUP is ignored, in the background of a script SIGINT, and programs that tests start would inherit that.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

# mount(8) of util-linux 2.39 and later hands each option to the kernel alone, which takes 255 bytes of it.
os.environ["LIBMOUNT_FORCE_MOUNT2"] = "always"

settings.register_profile(
    "pybuild",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    # A machine that is busy draws examples slowly: no reason to fail.
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("pybuild")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Return a short name for long data, which may have the time in it: each process must give tests the same names."""
    return f"{argname} of {len(val)} bytes" if isinstance(val, bytes) and len(val) > _NAMED else None


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if NO_SKIPS and not config.pluginmanager.hasplugin("timeout"):
        raise pytest.UsageError("pytest-timeout is not installed: a test that hangs would never end")
    limited = config.pluginmanager.hasplugin("timeout") and config.getoption("timeout") is None
    for item in items:
        directory = _directory(item)
        if directory in MARKED_DIRECTORIES:
            item.add_marker(directory)
        if limited and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_LONG_TIMEOUT if directory in MARKED_DIRECTORIES else _TIMEOUT))
        if item.get_closest_marker("xdist_group") is None and (group := _group(item)):
            item.add_marker(pytest.mark.xdist_group(group))
    # Long groups and long tests first: at the end of a parallel run no process waits long for another.
    items.sort(key=lambda item: (not _uses_lab(item), _directory(item) not in MARKED_DIRECTORIES))


def pytest_collection_finish() -> None:
    # Thousands of tests stay in memory to the end: each full collection of garbage would look through all of them.
    gc.freeze()


def _directory(item: pytest.Item) -> str:
    return item.path.relative_to(TESTS).parts[0]


def _uses_lab(item: pytest.Item) -> bool:
    return "lab" in getattr(item, "fixturenames", ())


def _group(item: pytest.Item) -> str:
    """Tests of this name run in the same process of a parallel run. The others, which have none, take long each."""
    if _uses_lab(item):
        # All tests of a case, which is built once for them.
        call = getattr(item, "callspec", None)
        return cases.group(call.params.get("name", "") if call else "")
    return "" if _directory(item) in MARKED_DIRECTORIES else str(item.path)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure on a machine that is meant to have everything.

    A failure that shows a name of arbitrary bytes is made printable: workers hand reports over as UTF-8.
    """
    report = yield
    if report.failed and not report.longreprtext.isascii():
        report.longrepr = report.longreprtext.encode(errors="backslashreplace").decode()
    if NO_SKIPS and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be: {report.longrepr}"
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail when a fork server is left behind. It ends with its builder, so it was stopped, or something is broken."""
    is_worker = hasattr(session.config, "workerinput")
    if not is_worker and (left := wait_until_no_server(_BEGIN)):
        session.config.stash[_LEFT] = left
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for process in config.stash.get(_LEFT, []):
        terminalreporter.write_line(f"left behind by a test: {process}", red=True)


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """pytest's directory, emptied at once: stores are large."""
    yield tmp_path
    if tmp_path.is_dir() and not _removed(tmp_path, tmp_path.lstat().st_dev):
        subprocess.run(["rm", "-rf", "--one-file-system", tmp_path], check=True)


def _removed(directory: Path | str, disk: int, depth: int = 20) -> bool:
    """Remove *directory* in this process: a program would take longer than most tests.

    False when that is for rm(1): it is deep, holds a mount of another *disk*, or forbids something.
    """
    try:
        if depth == 0 or os.lstat(directory).st_dev != disk:
            return False
        with os.scandir(directory) as entries:
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.path)
                elif not _removed(entry.path, disk, depth - 1):
                    return False
        os.rmdir(directory)
    except OSError:
        return False
    return True


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One store for the cases of testdata/builds that this process tests."""
    need_root()
    need_programs(["busybox", "mmdebstrap", "zstd", "xz", "bzip2"])
    shared = Lab(directory=tmp_path_factory.mktemp("lab"))
    yield shared
    shared.close()
