"""The fields of a request without their parts, for a type checker; nothing imports this when it runs."""

from pathlib import Path
from typing import TypedDict

from pybuild.builder.request.values import (
    Annotation,
    CacheSpec,
    Compression,
    Output,
    Resources,
    Secret,
    Stored,
    Target,
    Volume,
)


class _Optional(TypedDict, total=False):
    dockerfile: Path | None
    contexts: tuple[tuple[str, str], ...]
    ignore_file: Path | None
    build_args: tuple[tuple[str, str], ...]
    target: str | None
    labels: tuple[tuple[str, str], ...]
    platform: str | None
    network: str
    add_hosts: tuple[tuple[str, str], ...]
    allow: frozenset[str]
    environment: tuple[tuple[str, str], ...]
    unset_env: tuple[str, ...]
    unset_labels: tuple[str, ...]
    compression: Compression
    source_date_epoch: int | None
    secrets: tuple[Secret, ...]
    ssh: tuple[tuple[str, Path], ...]
    resources: Resources
    volumes: tuple[Volume, ...]
    resolv_conf: str
    jobs: int | None
    tags: tuple[str, ...]
    targets: tuple[Target, ...]
    platforms: tuple[str, ...]
    annotations: tuple[Annotation, ...]
    outputs: tuple[Output, ...]
    stored: Stored
    squash: str
    no_cache: bool
    no_cache_filter: tuple[str, ...]
    cache_ttl: float | None
    pull: str
    cache_from: tuple[CacheSpec, ...]
    cache_to: tuple[CacheSpec, ...]


class RequestFields(_Optional):
    """What `Request.of` takes; each field is described where its part is."""

    context: Path | str


class Changes(_Optional, total=False):
    """What `Request.changed` takes."""

    context: Path | str
