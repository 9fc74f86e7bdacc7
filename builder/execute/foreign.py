"""Programs of another platform: the kernel hands them to an emulator that is registered with binfmt_misc."""

from pathlib import Path

from builder.oci.model import Platform
from builder.platforms import parse_platform, wanted_platform
from runtime.errors import SandboxUnavailable

BINFMT = Path("/proc/sys/fs/binfmt_misc")
_HINT = "install qemu-user-static, or run: docker run --privileged --rm tonistiigi/binfmt --install {}"

# Byte 18 and 19 of an ELF file, in its byte order (ELF specification, e_machine).
_MACHINES = {
    "386": "0300",
    "amd64": "3e00",
    "arm": "2800",
    "arm64": "b700",
    "loong64": "0201",
    "mips64le": "0800",
    "ppc64le": "1500",
    "riscv64": "f300",
    "s390x": "0016",
}
_ALSO_RUNS = {"amd64": {"386"}, "arm64": {"arm"}}


def need_emulator(text: str, folder: Path = BINFMT) -> None:
    """Do nothing when programs for the platform *text* can run here, be it by an emulator; "" is this machine's.

    Raises:
        SandboxUnavailable: they cannot; the hint says what to install.
    """
    platform = wanted_platform(text)
    if _native(platform):
        return
    hint = _HINT.format(platform.architecture)
    if not (folder / "status").exists():
        problem = f"binfmt_misc is not mounted at {folder}"
        raise SandboxUnavailable(f"cannot run programs for {platform}: {problem}", f"mount it; {hint}")
    flags = _flags(_MACHINES.get(platform.architecture, ""), folder)
    if flags is None:
        raise SandboxUnavailable(f"cannot run programs for {platform}: no emulator is registered", hint)
    if "F" not in flags:
        problem = "its emulator is registered without the flag F, so that it is not there in the sandbox"
        raise SandboxUnavailable(f"cannot run programs for {platform}: {problem}", hint)


def _native(platform: Platform) -> bool:
    host = parse_platform("local").architecture
    return platform.architecture == host or platform.architecture in _ALSO_RUNS.get(host, set())


def _flags(machine: str, folder: Path) -> str | None:
    """Return the flags of the emulator that is registered for ELF files of *machine*; None when there is none."""
    for entry in sorted(folder.iterdir()):
        if entry.name in {"register", "status"}:
            continue
        enabled, *lines = entry.read_text(errors="replace").splitlines() or [""]
        values = {key: value for key, _, value in (line.partition(" ") for line in lines)}
        magic = values.get("magic", "")
        if enabled == "enabled" and magic.startswith("7f454c46") and machine and magic[36:40] == machine:
            return values.get("flags:", "")
    return None
