"""The reports of a child become a result, or the error that says why there was none."""

import pytest

from pybuild.runtime.errors import RuntimeHostError, SandboxError, SandboxUnavailable
from pybuild.runtime.sandbox.inside.plan import NAMESPACES, Report
from pybuild.runtime.sandbox.results import result_of
from pybuild.runtime.sandbox.spec import ExitStatus


def test_a_host_without_namespaces_is_told_apart_from_a_fault_of_the_sandbox() -> None:
    with pytest.raises(SandboxUnavailable, match="make namespaces and mounts"):
        result_of([Report("failed", NAMESPACES, "", 1, "make namespaces: Operation not permitted")])
    with pytest.raises(SandboxError, match=r"^enter the root: Device or resource busy$"):
        result_of([Report("failed", "enter the root", "", 16, "enter the root: Device or resource busy")])
    with pytest.raises(RuntimeHostError, match="KeyError"):
        result_of([Report("crashed", "KeyError", "", 0, "'x'")])
    assert result_of([]) == ExitStatus(signal=9)
