"""What a RUN gives to its sandbox; what it does there is tested end to end."""

from dataclasses import fields

from pybuild.builder.execute.run import CommandFailed, _limits
from pybuild.builder.request import Resources
from pybuild.runtime.sandbox.spec import ExitStatus, ResourceLimits


def test_every_limit_reaches_the_sandbox() -> None:
    assert [each.name for each in fields(Resources)] == [each.name for each in fields(ResourceLimits)]
    assert _limits(Resources()) == ResourceLimits()
    assert _limits(Resources(pids=7, cpuset_cpus="0")) == ResourceLimits(pids=7, cpuset_cpus="0")


def test_a_failure_tells_the_command_and_its_code() -> None:
    error = CommandFailed(("sh", "-c", 'echo "x"'), ExitStatus(signal=9))
    text = r'process "sh -c echo \"x\"" did not complete successfully: exit code: 137'
    assert (error.message, error.exit_code) == (text, 137)
