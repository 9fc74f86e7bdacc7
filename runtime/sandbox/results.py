"""How a process ended, by the reports of the child that ran it: for the launcher, and for commands that load little."""

from errno import EPERM

from pybuild.runtime.errors import RuntimeHostError, SandboxError, SandboxUnavailable
from pybuild.runtime.sandbox.inside.plan import NAMESPACES, Report
from pybuild.runtime.sandbox.isolation import STRICT, wanted
from pybuild.runtime.sandbox.spec import ExitStatus

_SIGKILL = 9


def result_of(reports: list[Report]) -> ExitStatus:
    """Return how a process ended, from the reports of its child. Raises what `launcher.run` raises."""
    ended = None
    for report in reports:
        if report.kind == "failed" and report.subject == NAMESPACES:
            from pybuild.runtime.sandbox.privileges import explain

            raise explain(report.errno)
        # It may be about a part that other isolations do without, so the hint is to take another one.
        if report.kind == "failed" and wanted() == STRICT and report.errno == EPERM:
            missing = f"{report.message}, and isolation strict permits nothing in its place"
            raise SandboxUnavailable(missing, "leave out --isolation=strict")
        if report.kind == "failed":
            raise SandboxError(report.subject, report.path, report.errno, _detail(report))
        if report.kind == "crashed":
            raise RuntimeHostError(f"sandbox: {report.subject}: {report.message}")
        ended = int(report.subject)
    if ended is None:
        # No report means that the guard was killed: by *cancel*, by the kernel for lack of memory, or from outside.
        return ExitStatus(signal=_SIGKILL)
    return ExitStatus(code=ended) if ended >= 0 else ExitStatus(signal=-ended)


def _detail(report: Report) -> str:
    return report.message.removeprefix(f"{report.subject} {report.path}".strip() + ": ")
