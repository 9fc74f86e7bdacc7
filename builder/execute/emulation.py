"""Programs of another platform: the kernel hands them to an emulator that is registered with binfmt_misc."""

from pathlib import Path
from typing import TYPE_CHECKING

from pybuild.builder.oci.model import Platform
from pybuild.builder.platforms import is_native, wanted_platform
from pybuild.runtime.errors import SandboxUnavailable

if TYPE_CHECKING:
    # Only for annotations: for the platform of this host nothing is tried.
    from pybuild.runtime.emulation.probe import Emulation

_FILE_SYSTEMS = Path("/proc/filesystems")
_INSTALL = "install qemu-user-static, or run: docker run --privileged --rm tonistiigi/binfmt --install {}"
_MODULE = "load the kernel module binfmt_misc (modprobe binfmt_misc), then {}"
_REGISTER = (
    "{} is installed, so register it, on the host when this is a container: systemctl restart systemd-binfmt, "
    "or update-binfmts --enable"
)

_EMULATORS = {
    "386": "i386",
    "amd64": "x86_64",
    "arm": "arm",
    "arm64": "aarch64",
    "loong64": "loongarch64",
    "mips64le": "mips64el",
    "ppc64le": "ppc64le",
    "riscv64": "riscv64",
    "s390x": "s390x",
}
"""QEMU's name of an architecture, by its name in an image."""


def need_emulator(text: str, directory: Path) -> None:
    """Check that programs for the platform *text* can run here, natively or in an emulator; "" is that of this host.

    An emulator that is installed but not registered is registered for this process, where that is possible. To try an
    emulator, a small program is written to *directory* and executed (`runtime.emulation.probe`).

    Raises:
        SandboxUnavailable: the programs cannot run; the hint says what to install.
    """
    platform = wanted_platform(text)
    if is_native(platform):
        return
    from pybuild.runtime.emulation.probe import Emulation, emulation

    found = emulation(platform.architecture, directory)
    if found is Emulation.UNKNOWN and _register(platform.architecture, directory):
        emulation.cache_clear()
        found = emulation(platform.architecture, directory)
    if found is not Emulation.RUNS:
        reason = f"cannot run programs for {platform}: {found.value}"
        raise SandboxUnavailable(reason, remedy(platform.architecture, found))


def _register(architecture: str, directory: Path) -> bool:
    """Register an installed emulator for this builder only; return whether that worked.

    It is not done where another emulator is registered already: those of this process would hide it.
    """
    from pybuild.runtime.emulation.own_emulators import register_own
    from pybuild.runtime.emulation.probe import Emulation, emulation

    programs = {
        name: path
        for name in _EMULATORS
        if not is_native(Platform(os="linux", architecture=name)) and (path := _installed_emulator(name))
    }
    if architecture not in programs:
        return False
    others = (name for name in _EMULATORS if not is_native(Platform(os="linux", architecture=name)))
    if any(emulation(name, directory) is not Emulation.UNKNOWN for name in others):
        return False
    return register_own(programs)


def _installed_emulator(architecture: str) -> str:
    """Return the path of QEMU for an architecture, "" when it is not installed; a static one is preferred."""
    import shutil

    name = f"qemu-{_EMULATORS.get(architecture, architecture)}"
    return next((path for each in (f"{name}-static", name) if (path := shutil.which(each))), "")


def remedy(architecture: str, emulation: "Emulation", file_systems: Path = _FILE_SYSTEMS) -> str:
    """Return a hint for the administrator of this host, given what is missing."""
    from pybuild.runtime.emulation.probe import Emulation

    installed = _installed_emulator(architecture)
    if installed and emulation is Emulation.UNKNOWN:
        return _with_module(_REGISTER.format(installed.rpartition("/")[2]), file_systems)
    return _with_module(_INSTALL.format(architecture), file_systems)


def _with_module(text: str, file_systems: Path) -> str:
    """Return the hint *text*; where the kernel module is not loaded, loading it comes first."""
    try:
        known = "binfmt_misc" in file_systems.read_text(encoding="ascii")
    except OSError:  # no /proc: without knowing, the hint does not name the module
        known = True
    return text if known else _MODULE.format(text)
