"""Loading images into podman, which is a program and has no daemon."""

import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, ClassVar

from pybuild.builder.errors import LoadFailed
from pybuild.builder.oci.archive.save import ArchiveContent, save
from pybuild.builder.outputs.archive import Named
from pybuild.builder.outputs.engines.docker import Status
from pybuild.builder.store.store import Store
from pybuild.runtime import stopping
from pybuild.runtime.errors import kernel_reason
from pybuild.runtime.values import frozen


@frozen
class Podman:
    """The program podman, which has no daemon."""

    program: str
    name: ClassVar[str] = "podman"

    def load(self, images: Sequence[Named], store: Store, status: Status) -> None:
        """Load *images* with their names. Raises LoadFailed."""
        words = [self.program, "load", "--quiet"]
        try:
            process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        except OSError as error:
            raise LoadFailed(f"cannot start {self.program}: {kernel_reason(error)}") from error
        with process:
            try:
                if process.stdin is not None:
                    _feed(process.stdin, images, store, status)
                _, printed = process.communicate()
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            last = printed.decode("utf-8", "replace").strip().rpartition("\n")[2]
            reason = last.removeprefix("Error: ") or f"exit code {process.returncode}"
            raise LoadFailed(f"podman refused the image: {reason}")


def find_podman() -> Podman | None:
    """Return podman, None when it is not installed."""
    program = shutil.which("podman")
    return Podman(program=program) if program else None


def _feed(pipe: IO[bytes], images: Sequence[Named], store: Store, status: Status) -> None:
    def report(digest: str, done: int, size: int) -> None:
        stopping.check()
        status(digest, done, size)

    # A podman that refuses the archive has said why.
    with suppress(BrokenPipeError):
        # Of an OCI layout with one image podman takes the full name, docker.io/library/NAME, and not localhost/NAME.
        save(store.blobs, images, pipe.write, ArchiveContent(oci=False), report)
        pipe.flush()
