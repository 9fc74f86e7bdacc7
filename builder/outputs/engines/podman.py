"""Loading images into podman, which is a program and has no daemon."""

import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

from pybuild.builder.errors import LoadFailed
from pybuild.builder.oci.archive.save import save
from pybuild.builder.outputs.archive import Named
from pybuild.builder.outputs.engines.docker import Status
from pybuild.builder.store.store import Store
from pybuild.runtime import stopping
from pybuild.runtime.errors import kernel_reason


def podman() -> str | None:
    """Return the path of podman, None when it is not installed."""
    return shutil.which("podman")


def load(program: str, images: Sequence[Named], store: Store, status: Status) -> None:
    """Load *images* with their names. Raises LoadFailed."""
    try:
        process = subprocess.Popen(
            [program, "load", "--quiet"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
    except OSError as error:
        raise LoadFailed(f"cannot start {program}: {kernel_reason(error)}") from error
    with process:
        try:
            if process.stdin is not None:
                _feed(process.stdin, images, store, status)
            _, told = process.communicate()
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        last = told.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise LoadFailed(
            f"podman refused the image: {last.removeprefix('Error: ') or f'exit code {process.returncode}'}"
        )


def _feed(pipe: IO[bytes], images: Sequence[Named], store: Store, status: Status) -> None:
    def report(digest: str, done: int, size: int) -> None:
        stopping.check()
        status(digest, done, size)

    # A podman that refuses the archive has said why.
    with suppress(BrokenPipeError):
        # Of an OCI layout with one image podman takes the full name, docker.io/library/NAME, and not localhost/NAME.
        save(store.blobs, images, pipe.write, for_oci=False, status=report)
        pipe.flush()
