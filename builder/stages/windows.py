"""Images for Windows that are built on Linux: how their paths are stored, and what their configs have by default.

No step of such an image can run here, but files can be copied into it. The rules are those of BuildKit: paths may have
backslashes and the letter of the system drive, the working directory has backslashes, the shell is ``cmd``, and there
is no PATH, because Windows has one of its own.
"""

import re
from typing import TYPE_CHECKING

from pybuild.builder.errors import ResolveError
from pybuild.runtime.values import replace

if TYPE_CHECKING:
    from pybuild.builder.oci.model import ContainerConfig, ImageConfig

SHELL = ("cmd", "/S", "/C")
_DRIVE = re.compile("([A-Za-z]):")


def is_windows(image: "ImageConfig") -> bool:
    """Return whether *image* is for Windows."""
    return image.os == "windows"


def posix_path(path: str) -> str:
    r"""Return *path* with slashes and without a drive: ``/app`` for ``C:\app``.

    Raises:
        ResolveError: it is on another drive.
    """
    drive = _DRIVE.match(path)
    if drive is None:
        return path.replace("\\", "/")
    if drive[1].upper() != "C":
        raise ResolveError(f"path {path} is not on the system drive", hint="images for Windows have the drive C: only")
    return path[drive.end() :].replace("\\", "/")


def as_resolved(config: "ContainerConfig") -> "ContainerConfig":
    """Return *config* as stages work with it: its working directory with slashes."""
    return replace(config, working_dir=posix_path(config.working_dir))


def as_stored(image: "ImageConfig") -> "ImageConfig":
    """Return *image* as it is stored: the working directory of one for Windows with backslashes."""
    if not is_windows(image):
        return image
    return replace(image, config=replace(image.config, working_dir=image.config.working_dir.replace("/", "\\")))
