"""Runs a process on a rootfs, with the isolation that `runtime.sandbox.isolation` chooses."""

from collections.abc import Callable

from pybuild.runtime.sandbox import spec
from pybuild.runtime.sandbox.child import CancelFlag, Output
from pybuild.runtime.sandbox.isolation import is_chroot
from pybuild.runtime.sandbox.signal_relay import SignalRelay


def run(
    sandbox: spec.Spec,
    *,
    output: Output,
    cancel: CancelFlag | None = None,
    signals: SignalRelay | None = None,
    started: Callable[[], None] | None = None,
) -> spec.ExitStatus:
    """Run the process of *sandbox* and return how it ended: see `runtime.sandbox.launcher.run`.

    *started* is called when other processes prepare the sandbox, and this one waits; not after a chroot.
    """
    if is_chroot():
        from pybuild.runtime.chrooted.run import run as run_chrooted

        return run_chrooted(sandbox, output=output, cancel=cancel, signals=signals)
    from pybuild.runtime.sandbox.launcher import run as run_sandbox

    return run_sandbox(sandbox, output=output, cancel=cancel, signals=signals, started=started)
