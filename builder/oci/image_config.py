"""The image config: what a container runs, and the layers and history of the image (image-spec, config.md).

Docker's additions (Healthcheck, OnBuild, Shell, ArgsEscaped) are part of it, as Docker and BuildKit write them into OCI
images, too.
"""

import re
from collections.abc import Mapping

from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import InvalidImage
from pybuild.builder.oci.fields import Fields, parse_object
from pybuild.builder.oci.json_text import encode
from pybuild.builder.oci.limits import MAX_PATH
from pybuild.runtime.values import frozen

_RFC3339 = r"(?a)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)\Z"
_CONTROL = r"[\x00-\x1f\x7f]"


@frozen
class History:
    """One step that made the image; *created* is RFC 3339 or empty. An empty layer has no diff ID."""

    created: str = ""
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


@frozen
class Healthcheck:
    """How to check whether a container is healthy; times in nanoseconds, 0 for Docker's default."""

    test: tuple[str, ...] = ()
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


@frozen
class ContainerConfig:
    """The defaults of a container.

    Entrypoint, cmd and shell are None when nothing was said, which is not the same as an empty list until the document
    is written: Go omits both.
    """

    user: str = ""
    exposed_ports: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    volumes: tuple[str, ...] = ()
    working_dir: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    stop_signal: str = ""
    args_escaped: bool = False
    healthcheck: Healthcheck | None = None
    on_build: tuple[str, ...] = ()
    shell: tuple[str, ...] | None = None


CONFIG_MEMBERS: Mapping[str, str] = {
    **dict.fromkeys(("User", "WorkingDir", "StopSignal"), "text"),
    **dict.fromkeys(("Env", "Cmd", "Entrypoint", "OnBuild", "Shell"), "list"),
    **dict.fromkeys(("ExposedPorts", "Volumes", "Labels"), "map"),
    **dict.fromkeys(("Healthcheck", "StopTimeout"), "pointer"),
    "ArgsEscaped": "flag",
}
"""The members of the JSON of a `ContainerConfig`, and what they are in Go, which decides how an absent one is shown."""

BUILD_CACHE = "pybuild.cache.v1"
"""The member of a config that holds `ImageConfig.build_cache`."""


@frozen
class ImageConfig:
    """The document that an image ID is the digest of. *created* is RFC 3339 or empty."""

    created: str = ""
    author: str = ""
    architecture: str
    os: str
    variant: str = ""
    os_version: str = ""
    os_features: tuple[str, ...] = ()
    config: ContainerConfig = ContainerConfig()
    diff_ids: tuple[Digest, ...] = ()
    history: tuple[History, ...] = ()
    build_cache: str = ""
    """An inline build cache, written but never read here: an image does not pass it on to images based on it."""

    def to_json(self) -> bytes:
        """Return the document: members sorted at the top level as in Docker and BuildKit, in Go's order below."""
        return encode(
            {
                "architecture": self.architecture,
                **_present("author", self.author),
                "config": _container_json(self.config),
                **_present("created", self.created),
                **_present("history", [_history_json(entry) for entry in self.history]),
                "os": self.os,
                **_present("os.features", list(self.os_features)),
                **_present("os.version", self.os_version),
                **_present(BUILD_CACHE, self.build_cache),
                "rootfs": {"type": "layers", "diff_ids": [str(diff_id) for diff_id in self.diff_ids]},
                **_present("variant", self.variant),
            }
        )

    @classmethod
    def from_json(cls, raw: bytes, context: str = "config") -> "ImageConfig":
        """Parse and check a config. Raises InvalidImage."""
        fields = parse_object(raw, context)
        container = fields.nested("config")
        root_fs = fields.required_nested("rootfs")
        if root_fs.text("type") not in {"layers", ""}:
            raise root_fs.error("type", 'expected "layers"')
        return cls(
            created=_time(fields),
            author=fields.text("author"),
            architecture=fields.text("architecture", required=True),
            os=fields.text("os", required=True),
            variant=fields.text("variant"),
            os_version=fields.text("os.version"),
            os_features=fields.texts("os.features") or (),
            config=_container(container) if container else ContainerConfig(),
            diff_ids=root_fs.digests("diff_ids"),
            history=tuple(_history(entry) for entry in fields.objects("history")),
        )

    @property
    def layers_in_history(self) -> int:
        """The number of history entries that made a layer."""
        return sum(not entry.empty_layer for entry in self.history)


def _present(key: str, value: object) -> Mapping[str, object]:
    """Go's ``omitempty``: a member only when it has a value."""
    return {key: value} if value else {}


def _members(values: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in values.items() if value}


def _history_json(entry: History) -> dict[str, object]:
    return _members(
        {
            "created": entry.created,
            "created_by": entry.created_by,
            "author": entry.author,
            "comment": entry.comment,
            "empty_layer": entry.empty_layer,
        }
    )


def _container_json(config: ContainerConfig) -> dict[str, object]:
    return _members(
        {
            "User": config.user,
            "ExposedPorts": {port: {} for port in sorted(config.exposed_ports)},
            "Env": list(config.env),
            "Entrypoint": list(config.entrypoint or ()),
            "Cmd": list(config.cmd or ()),
            "Volumes": {volume: {} for volume in sorted(config.volumes)},
            "WorkingDir": config.working_dir,
            "Labels": dict(sorted(config.labels)),
            "StopSignal": config.stop_signal,
            "ArgsEscaped": config.args_escaped,
        }
    ) | _docker_json(config)


def _docker_json(config: ContainerConfig) -> dict[str, object]:
    check = config.healthcheck
    return {
        # A pointer in Go: an empty healthcheck is written, an absent one is not.
        **({} if check is None else {"Healthcheck": _healthcheck_json(check)}),
        **_present("OnBuild", list(config.on_build)),
        **_present("Shell", list(config.shell or ())),
    }


def _healthcheck_json(check: Healthcheck) -> dict[str, object]:
    return _members(
        {
            "Test": list(check.test),
            "Interval": check.interval,
            "Timeout": check.timeout,
            "StartPeriod": check.start_period,
            "StartInterval": check.start_interval,
            "Retries": check.retries,
        }
    )


def _history(fields: Fields) -> History:
    return History(
        created=_time(fields),
        created_by=fields.text("created_by"),
        author=fields.text("author"),
        comment=fields.text("comment"),
        empty_layer=fields.flag("empty_layer"),
    )


def _container(fields: Fields) -> ContainerConfig:
    check = fields.nested("Healthcheck")
    return ContainerConfig(
        user=_one_line(fields, "User"),
        exposed_ports=fields.names("ExposedPorts"),
        env=_environment(fields),
        entrypoint=fields.texts("Entrypoint"),
        cmd=fields.texts("Cmd"),
        volumes=fields.names("Volumes"),
        working_dir=_one_line(fields, "WorkingDir"),
        labels=tuple(sorted(fields.text_map("Labels").items())),
        stop_signal=_one_line(fields, "StopSignal"),
        args_escaped=fields.flag("ArgsEscaped"),
        healthcheck=_healthcheck(check) if check else None,
        on_build=fields.texts("OnBuild") or (),
        shell=fields.texts("Shell"),
    )


def _healthcheck(fields: Fields) -> Healthcheck:
    return Healthcheck(
        test=fields.texts("Test") or (),
        interval=fields.integer("Interval"),
        timeout=fields.integer("Timeout"),
        start_period=fields.integer("StartPeriod"),
        start_interval=fields.integer("StartInterval"),
        retries=fields.integer("Retries"),
    )


def _environment(fields: Fields) -> tuple[str, ...]:
    """Refuse what execve cannot take or what sets no variable: text without ``=``, NUL bytes."""
    variables = fields.texts("Env") or ()
    for i, variable in enumerate(variables):
        if variable.find("=") < 1 or "\0" in variable:
            raise InvalidImage(f"{fields.at('Env')}[{i}]: expected NAME=value, found {variable[:80]!r}")
    return variables


def _one_line(fields: Fields, key: str) -> str:
    text = fields.text(key)
    if len(text.encode()) > MAX_PATH or (not text.isprintable() and re.search(_CONTROL, text)):
        raise fields.error(key, f"too long or with control characters: {text[:80]!r}")
    return text


def _time(fields: Fields) -> str:
    text = fields.text("created")
    if text and not re.match(_RFC3339, text):
        raise fields.error("created", f"not a time of RFC 3339: {text[:80]!r}")
    return text
