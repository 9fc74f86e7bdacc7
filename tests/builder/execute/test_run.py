"""What a RUN gives to its sandbox; what it does there is tested end to end."""

import threading
from dataclasses import fields

from pybuild.builder.execute.run import CommandFailed, StepTooLong, _limits, _Watch
from pybuild.builder.request import Resources
from pybuild.builder.request.step_settings import HostInputs, StepSettings
from pybuild.runtime.sandbox.spec import ExitStatus, ResourceLimits


def test_every_limit_reaches_the_sandbox() -> None:
    assert {each.name for each in fields(Resources)} <= {each.name for each in fields(ResourceLimits)}
    assert _limits(StepSettings(), HostInputs()) == ResourceLimits()
    settings = StepSettings(resources=Resources(pids=7, cpuset_cpus="0"))
    limits = ResourceLimits(pids=7, cpuset_cpus="0", cgroup_parent="/c")
    assert _limits(settings, HostInputs(cgroup_parent="/c")) == limits


def test_a_failure_tells_the_command_and_its_code() -> None:
    error = CommandFailed(("sh", "-c", 'echo "x"'), ExitStatus(signal=9))
    text = r'process "sh -c echo \"x\"" did not complete successfully: exit code: 137'
    assert (error.message, error.exit_code) == (text, 137)


def test_a_step_is_ended_by_its_build_or_by_its_time() -> None:
    cancel = threading.Event()
    unlimited, over, later = _Watch(cancel, None), _Watch(cancel, 0.0), _Watch(cancel, 60.0)
    assert (unlimited.is_set(), over.is_set(), later.is_set()) == (False, True, False)
    cancel.set()
    assert (unlimited.is_set(), over.is_set(), later.is_set()) == (True, True, True)
    assert (unlimited.late, over.late, later.late) == (False, True, False)
    assert str(StepTooLong(600)) == "the step took longer than 10m (--step-timeout)"
