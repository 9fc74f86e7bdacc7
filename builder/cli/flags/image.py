"""Flags of ``build`` about what is built, and how the image is named and written."""

from collections.abc import Sequence

from pybuild.builder.cli.flags import build_values as values
from pybuild.builder.cli.flags import fast_path
from pybuild.builder.cli.flags.completion_types import DIRECTORY, FILE, STAGE
from pybuild.builder.cli.flags.group import argument, option
from pybuild.builder.errors import RequestError
from pybuild.builder.request import Changes, Target, changes, checks
from pybuild.builder.request.checks import full_names
from pybuild.runtime.values import frozen


@frozen
class ImageFlags:
    """Flags about the image that is built."""

    context: str = argument(
        metavar="CONTEXT",
        type=DIRECTORY,
    )
    tags: tuple[str, ...] = option(
        *fast_path.TAG,
        empty=True,
        multiple=True,
        metavar="NAME[:TAG]",
        help="Name and optionally a tag for the image; repeatable.",
    )
    file: str | None = option(
        *fast_path.FILE,
        type=FILE,
        metavar="PATH|URL",
        help="Name of the Dockerfile (default: CONTEXT/Dockerfile); - is standard input.",
    )
    build_args: tuple[str, ...] = option(
        *fast_path.BUILD_ARG,
        empty=True,
        multiple=True,
        metavar="NAME[=VALUE]",
        help="Set a build argument; NAME alone takes its value from the environment. Repeatable.",
    )
    build_contexts: tuple[str, ...] = option(
        "--build-context",
        multiple=True,
        metavar="NAME=VALUE",
        help="Additional build context, which replaces the stage or image NAME: a directory, a URL, "
        "docker-image://IMAGE or oci-layout://DIR. Repeatable.",
    )
    targets: tuple[str, ...] = option(
        *fast_path.TARGET,
        multiple=True,
        type=STAGE,
        metavar="STAGE[=NAME]",
        help="Stage to build (default: the last). Repeat it to build several, each with its own image names: "
        "--target a=x:1 --target b=y:1.",
    )
    no_cache: bool = option(
        *fast_path.NO_CACHE,
        is_flag=True,
        help="Do not use the cache: run every step.",
    )
    pull: bool = option(
        "--pull",
        is_flag=True,
        help="Always look up base images in their registries, even when the store has them. --pull=missing (default) "
        "does so only for missing ones, --pull=never not at all; --pull=newer uses the store when no registry answers.",
    )
    pull_policy: str | None = option("--pull-policy", hidden=True)
    """The hidden option behind ``--pull=POLICY``: click has no flags with an optional value."""
    labels: tuple[str, ...] = option(
        *fast_path.LABEL,
        empty=True,
        multiple=True,
        metavar="NAME=VALUE",
        help="Set a label of the image; repeatable.",
    )
    annotations: tuple[str, ...] = option(
        "--annotation",
        multiple=True,
        metavar="[KIND:]KEY=VALUE",
        help="Add an annotation to the image. KIND is manifest (default), index, manifest-descriptor or "
        "index-descriptor; manifest[PLATFORM] means one platform only. Repeatable.",
    )
    network: str | None = option(
        *fast_path.NETWORK,
        default="default",
        metavar="MODE",
        help="Network of RUN steps: host uses that of the host, none has a loopback interface only, private is one of "
        "its own by pasta or slirp4netns. default is host for root; for other users private where that works.",
    )
    platforms: tuple[str, ...] = option(
        "--platform",
        empty=True,
        multiple=True,
        metavar="OS/ARCH[/VARIANT][,...]",
        help="Platform to build for (default: $DOCKER_DEFAULT_PLATFORM, else this host's). Several make an index with "
        "an image for each.",
    )
    add_hosts: tuple[str, ...] = option(
        "--add-host",
        multiple=True,
        metavar="NAME:ADDRESS",
        help="Add a line to /etc/hosts of RUN steps.",
    )
    outputs: tuple[str, ...] = option(
        "-o",
        "--output",
        multiple=True,
        metavar="SPEC",
        help="Also write the result: type=oci|docker|tar|local,dest=PATH to a file or directory, type=registry to a "
        "registry, type=docker to Docker or podman. Repeatable.",
    )
    compression: str | None = option(
        "--compression",
        metavar="TYPE[,LEVEL]",
        help="Compression of new layers: gzip (default), zstd or uncompressed.",
    )
    squash: bool = option(
        "--squash",
        is_flag=True,
        help="Squash newly built layers into a single new layer.",
    )
    squash_all: bool = option(
        "--squash-all",
        is_flag=True,
        help="Squash the whole image into a single layer, its base included.",
    )
    load: bool = option(
        "--load",
        is_flag=True,
        help="Load the image into Docker, or into podman, as well; short for -o type=docker.",
    )
    push: bool = option(
        "--push",
        is_flag=True,
        help="Push the image under its names; short for -o type=registry.",
    )

    def request(self) -> Changes:
        """Return the fields of a request that depend on these flags only."""
        return changes(
            contexts=values.contexts(self.build_contexts),
            dockerfile=values.dockerfile(self.file),
            labels=values.labels(self.labels),
            network=self.network or "default",
            add_hosts=values.hosts(self.add_hosts),
            no_cache=self.no_cache,
            pull=self.pull_policy or ("always" if self.pull else "missing"),
        )


def targets(texts: Sequence[str], tags: tuple[str, ...]) -> tuple[Target, ...]:
    """Return the targets of ``STAGE`` and ``STAGE=NAME[:TAG][,NAME...]``; *tags* are those of the one without names.

    Raises:
        RequestError: a target without a stage, a stage twice, or tags that could belong to several targets.
    """
    found = [_target(item) for item in texts]
    checks.targets(found)
    nameless = [target for target in found if not target.tags]
    if len(found) > 1 and tags and len(nameless) != 1:
        raise RequestError("-t is ambiguous with several targets", hint="name each of them: --target STAGE=NAME[:TAG]")
    if len(found) == 1:
        return (Target(stage=found[0].stage, tags=(*tags, *found[0].tags)),)
    return tuple(target if target.tags else Target(stage=target.stage, tags=tags) for target in found)


def _target(item: str) -> Target:
    stage, equals, names = item.partition("=")
    if not stage or (equals and not names):
        raise RequestError(f"invalid target {item!r}, expected STAGE or STAGE=NAME[:TAG]")
    return Target(stage=stage, tags=full_names(tuple(names.split(","))) if names else ())
