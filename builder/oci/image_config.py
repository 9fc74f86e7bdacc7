"""The image config: what a container runs, and the layers and history of the image (image-spec, config.md).

Docker's additions (Healthcheck, OnBuild, Shell, ArgsEscaped) are part of it, as Docker and BuildKit write them into OCI
images, too.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pybuild.builder.oci.digest import Digest, read_digests
from pybuild.builder.oci.errors import InvalidImage
from pybuild.builder.oci.json_documents import Fields, encode, parse_object
from pybuild.runtime.paths import MAX_PATH
from pybuild.runtime.values import field, fields, frozen

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


class _Form(NamedTuple):
    """How a member of the config is written and read. *go* is what it is in Go: text, list, map, flag or pointer."""

    go: str
    read: Callable[[Fields, str], Any]
    write: Callable[[Any], object]


def _one_line(members: Fields, key: str) -> str:
    text = members.text(key)
    # The working directory is among these members.
    if len(text.encode()) > MAX_PATH or (not text.isprintable() and re.search(_CONTROL, text)):
        raise members.error(key, f"too long or with control characters: {text[:80]!r}")
    return text


def _check_environment(members: Fields, key: str) -> tuple[str, ...]:
    """Refuse what execve cannot take or what sets no variable: text without ``=``, NUL bytes."""
    variables = members.texts(key) or ()
    for i, variable in enumerate(variables):
        if variable.find("=") < 1 or "\0" in variable:
            raise InvalidImage(f"{members.at(key)}[{i}]: expected NAME=value, found {variable[:80]!r}")
    return variables


def _healthcheck(members: Fields, key: str) -> Healthcheck | None:
    check = members.nested(key)
    if check is None:
        return None
    return Healthcheck(
        test=check.texts("Test") or (),
        interval=check.integer("Interval"),
        timeout=check.integer("Timeout"),
        start_period=check.integer("StartPeriod"),
        start_interval=check.integer("StartInterval"),
        retries=check.integer("Retries"),
    )


def healthcheck_json(check: Healthcheck) -> dict[str, object]:
    """Return the members of a health check that have a value, with Docker's names."""
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


_LINE = _Form("text", _one_line, str)
_FLAG = _Form("flag", Fields.flag, bool)
_LIST = _Form("list", lambda members, key: members.texts(key) or (), list)
_COMMAND = _Form("list", Fields.texts, lambda words: list(words or ()))
_SET = _Form("map", Fields.names, lambda names: {name: {} for name in sorted(names)})
_MAP = _Form(
    "map", lambda members, key: tuple(sorted(members.text_map(key).items())), lambda pairs: dict(sorted(pairs))
)


def _member(name: str, form: _Form, default: Any) -> Any:
    """Declare a field, the *name* of its member in the JSON, and how that is written and read."""
    return field(default=default, metadata={"name": name, "form": form})


@frozen
class ContainerConfig:
    """The defaults of a container. The JSON has its members in the order of the fields, which is Go's.

    Entrypoint, cmd and shell are None when nothing was said, which is not the same as an empty list until the document
    is written: Go omits both.
    """

    user: str = _member("User", _LINE, "")
    exposed_ports: tuple[str, ...] = _member("ExposedPorts", _SET, ())
    env: tuple[str, ...] = _member("Env", _Form("list", _check_environment, list), ())
    entrypoint: tuple[str, ...] | None = _member("Entrypoint", _COMMAND, None)
    cmd: tuple[str, ...] | None = _member("Cmd", _COMMAND, None)
    volumes: tuple[str, ...] = _member("Volumes", _SET, ())
    working_dir: str = _member("WorkingDir", _LINE, "")
    labels: tuple[tuple[str, str], ...] = _member("Labels", _MAP, ())
    stop_signal: str = _member("StopSignal", _LINE, "")
    args_escaped: bool = _member("ArgsEscaped", _FLAG, default=False)
    healthcheck: Healthcheck | None = _member("Healthcheck", _Form("pointer", _healthcheck, healthcheck_json), None)
    on_build: tuple[str, ...] = _member("OnBuild", _LIST, ())
    shell: tuple[str, ...] | None = _member("Shell", _COMMAND, None)


_MEMBERS: Mapping[str, tuple[str, _Form]] = {
    each.name: (each.metadata["name"], each.metadata["form"]) for each in fields(ContainerConfig)
}
"""The member of each field, and its form."""

CONFIG_MEMBERS: Mapping[str, str] = {**{name: form.go for name, form in _MEMBERS.values()}, "StopTimeout": "pointer"}
"""What each member is in Go, which decides how an absent one is shown. Docker has one that no instruction sets."""

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
                **_members({"author": self.author}),
                "config": _container_json(self.config),
                **_members({"created": self.created, "history": [_history_json(entry) for entry in self.history]}),
                "os": self.os,
                **_members({"os.features": list(self.os_features), "os.version": self.os_version}),
                **_members({BUILD_CACHE: self.build_cache}),
                "rootfs": {"type": "layers", "diff_ids": [str(diff_id) for diff_id in self.diff_ids]},
                **_members({"variant": self.variant}),
            }
        )

    @classmethod
    def from_json(cls, raw: bytes, context: str = "config") -> "ImageConfig":
        """Parse and check a config. Raises InvalidImage."""
        members = parse_object(raw, context)
        container = members.nested("config")
        root_fs = members.required_nested("rootfs")
        if root_fs.text("type") not in {"layers", ""}:
            raise root_fs.error("type", 'expected "layers"')
        return cls(
            created=_time(members),
            author=members.text("author"),
            architecture=members.text("architecture", required=True),
            os=members.text("os", required=True),
            variant=members.text("variant"),
            os_version=members.text("os.version"),
            os_features=members.texts("os.features") or (),
            config=_container(container) if container else ContainerConfig(),
            diff_ids=read_digests(root_fs, "diff_ids"),
            history=tuple(_history(entry) for entry in members.objects("history")),
        )

    @property
    def layers_in_history(self) -> int:
        """The number of history entries that made a layer."""
        return sum(not entry.empty_layer for entry in self.history)


def _members(values: Mapping[str, object]) -> dict[str, object]:
    """Go's ``omitempty``: only the members that have a value."""
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
    values = ((name, form, getattr(config, field_name)) for field_name, (name, form) in _MEMBERS.items())
    # An empty member is left out, but for a pointer of Go: an empty healthcheck is written, an absent one is not.
    given = ((name, form.go, form.write(value)) for name, form, value in values if value is not None)
    return {name: written for name, go, written in given if written or go == "pointer"}


def _history(members: Fields) -> History:
    return History(
        created=_time(members),
        created_by=members.text("created_by"),
        author=members.text("author"),
        comment=members.text("comment"),
        empty_layer=members.flag("empty_layer"),
    )


def _container(members: Fields) -> ContainerConfig:
    return ContainerConfig(**{field_name: form.read(members, name) for field_name, (name, form) in _MEMBERS.items()})


def _time(members: Fields) -> str:
    text = members.text("created")
    if text and not re.match(_RFC3339, text):
        raise members.error("created", f"not a time of RFC 3339: {text[:80]!r}")
    return text
