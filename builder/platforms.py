"""Platforms: what this host is, what a user may write, and the build arguments that follow from both."""

from pybuild.builder.errors import ResolveError
from pybuild.builder.oci.image import host_platform
from pybuild.builder.oci.model import ImageConfig, Platform
from pybuild.runtime.values import replace

_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "amd64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "arm64": ("arm64", ""),
    "i386": ("386", ""),
    "i686": ("386", ""),
    "386": ("386", ""),
    "armv7l": ("arm", "v7"),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "arm": ("arm", "v7"),
    "ppc64le": ("ppc64le", ""),
    "riscv64": ("riscv64", ""),
    "s390x": ("s390x", ""),
    "loong64": ("loong64", ""),
    "mips64le": ("mips64le", ""),
}
_ALSO_RUNS = {"amd64": {"386"}, "arm64": {"arm"}}


def parse_platform(text: str) -> Platform:
    """Parse ``os/arch[/variant]``, ``arch`` or ``local``, in normal form. Raises ResolveError."""
    if text == "local":
        return host_platform()
    parts = text.lower().split("/")
    if len(parts) == 1 and parts[0] in _ARCHITECTURES:
        parts = ["linux", parts[0]]
    if len(parts) not in {2, 3} or not all(part.replace("_", "").replace("-", "").isalnum() for part in parts):
        raise ResolveError(f"failed to parse platform {text}", hint="write it as linux/amd64 or linux/arm/v7")
    architecture, variant = _ARCHITECTURES.get(parts[1], (parts[1], ""))
    variant = parts[2] if len(parts) == 3 else variant
    # The normal form of containerd: v8 is what arm64 means.
    if (architecture, variant) == ("arm64", "v8"):
        variant = ""
    return Platform(os=parts[0], architecture=architecture, variant=variant)


def is_native(platform: Platform) -> bool:
    """Return whether this host runs programs for *platform* without an emulator."""
    host = host_platform().architecture
    return platform.architecture == host or platform.architecture in _ALSO_RUNS.get(host, set())


def platform_arguments(target: Platform, build: Platform, stage: str) -> dict[str, str]:
    """Return the arguments that every Dockerfile has in its global scope."""
    return {
        "BUILDPLATFORM": str(build),
        "BUILDOS": build.os,
        "BUILDOSVERSION": build.os_version,
        "BUILDARCH": build.architecture,
        "BUILDVARIANT": build.variant,
        "TARGETPLATFORM": str(target),
        "TARGETOS": target.os,
        "TARGETOSVERSION": target.os_version,
        "TARGETARCH": target.architecture,
        "TARGETVARIANT": target.variant,
        "TARGETSTAGE": stage,
    }


def platform_of(config: ImageConfig) -> str:
    """Return the platform that an image is for, in normal form; "" when its config does not say."""
    if not config.os or not config.architecture:
        return ""
    variant = "" if (config.architecture, config.variant) == ("arm64", "v8") else config.variant
    return str(Platform(os=config.os, architecture=config.architecture, variant=variant))


def given_platform(text: str | None) -> Platform | None:
    """Return the platform that a user names, None when none is named. Raises ResolveError."""
    return parse_platform(text) if text else None


def wanted_platform(text: str | None) -> Platform:
    """Return the platform that a request asks for, else this host's."""
    return parse_platform(text) if text else host_platform()


def claimed(config: ImageConfig, text: str | None) -> ImageConfig:
    """Return *config* as that of an image for the platform that a request names; with None it stays what it is.

    Like in BuildKit, an image is for the platform it was built for, even on a base for another one, which
    FROM --platform asks for. Otherwise an index could list one platform twice.
    """
    if text is None:
        return config
    wanted = parse_platform(text)
    if (config.os, config.architecture) == (wanted.os, wanted.architecture):
        return replace(config, variant=wanted.variant or config.variant)
    return replace(
        config,
        os=wanted.os,
        architecture=wanted.architecture,
        variant=wanted.variant,
        os_version=wanted.os_version,
        os_features=(),
    )
