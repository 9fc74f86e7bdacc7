"""``pybuild build``: from flags to a request, from a request to an image and the files that name it."""

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import click

from pybuild.builder.cli.commands.build.metadata import Warnings, metadata
from pybuild.builder.cli.commands.build.preflight import check_beforehand, streams
from pybuild.builder.cli.commands.build.stdin_context import Elsewhere, prepared
from pybuild.builder.cli.flags import build as values
from pybuild.builder.cli.flags.annotation import annotations
from pybuild.builder.cli.flags.buildah import as_docker_has_it, buildah_flags, buildah_values
from pybuild.builder.cli.flags.cache import CacheFlags, cache_flags, inline_cache
from pybuild.builder.cli.flags.foreign import foreign_flags
from pybuild.builder.cli.flags.host import HostFlags, host_flags
from pybuild.builder.cli.flags.limits import limit_flags
from pybuild.builder.cli.flags.log import log_flag, logged
from pybuild.builder.cli.flags.output import read_outputs
from pybuild.builder.cli.flags.pull import pull_flag
from pybuild.builder.cli.flags.registry import RegistryFlags, registry_flags
from pybuild.builder.cli.flags.steps import StepFlags, step_flags
from pybuild.builder.cli.flags.target import targets
from pybuild.builder.cli.flags.values import FilePath, OneOf, without_empty
from pybuild.builder.cli.flags.words import FILE, FOLDER, STAGE
from pybuild.builder.cli.housekeeping import tidy
from pybuild.builder.cli.tools import Command, be_root, root_option, say, store, tools
from pybuild.builder.display.choose import MODES, OpenDisplay, open_display
from pybuild.builder.errors import BuildError, RequestError
from pybuild.builder.image.names import full_names
from pybuild.builder.outputs.files import replace_file
from pybuild.builder.progress import Progress
from pybuild.builder.request import Request, Resources
from pybuild.grammar.errors import DockerfileError
from pybuild.runtime.values import frozen

_EPILOG = """\b
Differences from docker build:
  - There is no daemon. Images stay in pybuild's store; "pybuild save", or -o
    type=docker, hands them to Docker.
  - --load is what always happens; attestations are refused; --rm is ignored with a
    warning.
  - With several targets --iidfile has a line for each, --metadata-file a key; -o
    type=oci and docker write one archive with all images, local and tar take one.
  - With several platforms the index of their images is kept and written; --iidfile
    and -q give its digest; -o type=local and tar have a folder for each platform,
    like linux_arm64, unless platform-split=false; -o type=docker takes one platform.
  - The options of -o are Docker's, with oci-mediatypes, compression, force-compression,
    annotation.KEY and source-date-epoch. What the first one that is an image asks
    for, the image in the store has, too. With SOURCE_DATE_EPOCH no file of a new
    layer is younger: rewrite-timestamp is always on, and leaves base layers alone.
  - -o type=local leaves out set-user-id bits, device nodes and pipes, and never
    removes a folder of yours to put a file in its place.
  - Exit codes: 1 a step failed, 2 usage or Dockerfile, 3 the host cannot, 4 a
    registry did not give a base, 5 a registry did not take the image.

CONTEXT is a folder, the URL of a git repository, of an archive or of a
Dockerfile, or - for a Dockerfile or a tar archive on standard input.
"""


@frozen
class Groups:
    """What the groups of flags ask for that are parts of the request."""

    cache: CacheFlags
    steps: StepFlags
    limits: Resources
    host: HostFlags


@click.command("build", cls=Command, epilog=_EPILOG, short_help="Build an image from a Dockerfile.")
@click.argument("context", metavar="CONTEXT", type=FOLDER)
@click.option("-t", "--tag", "tags", multiple=True, metavar="NAME[:TAG]", help="Name of the image; may be repeated.")
@click.option(
    "-f",
    "--file",
    type=FILE,
    metavar="PATH|URL",
    help="Dockerfile (default: CONTEXT/Dockerfile); - reads standard input.",
)
@click.option(
    "--build-arg", "build_args", multiple=True, metavar="NAME[=VALUE]", help="Build argument; a NAME alone from env."
)
@click.option(
    "--build-context",
    "build_contexts",
    multiple=True,
    metavar="NAME=VALUE",
    help="Use a folder, URL, docker-image:// or oci-layout:// for a stage or image; repeatable.",
)
@click.option(
    "--target",
    "targets",
    multiple=True,
    type=STAGE,
    metavar="STAGE[=NAME]",
    help="Stage to build (default: the last); several, each with its names: a=x:1 b=y:1.",
)
@click.option("--no-cache", is_flag=True, help="Run every step, whatever the cache has.")
@pull_flag
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Label of the image.")
@click.option(
    "--annotation",
    "annotations",
    multiple=True,
    metavar="[KIND:]KEY=VALUE",
    help="Annotate the manifest (KIND manifest[PLATFORM], the default), the index, or with -descriptor what names it.",
)
@click.option(
    "--network",
    default="default",
    metavar="MODE",
    help="Network of RUN: default and host are the host's; none is a loopback of its own.",
)
@click.option(
    "--platform",
    "platforms",
    multiple=True,
    metavar="OS/ARCH[/VARIANT][,...]",
    help="Platform of the image (also DOCKER_DEFAULT_PLATFORM); several make an index of images.",
)
@click.option("--add-host", "add_hosts", multiple=True, metavar="NAME:ADDRESS", help="Line of /etc/hosts for RUN.")
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    metavar="SPEC",
    help="Also write: type=oci|docker|tar|local,dest=PATH, or push: type=registry.",
)
@click.option("--compression", metavar="TYPE[,LEVEL]", help="Of new layers: gzip (default), zstd or uncompressed.")
@click.option("--iidfile", type=FilePath(), metavar="FILE", help="Write the image ID to FILE.")
@click.option("--metadata-file", type=FilePath(), metavar="FILE", help="Write digests as JSON to FILE.")
@click.option("--progress", type=OneOf(MODES), help="How progress is shown (default: BUILDKIT_PROGRESS or auto).")
@click.option("-q", "--quiet", is_flag=True, help="Show nothing but errors; print the image ID.")
@click.option("--check", is_flag=True, help="Build nothing, check the Dockerfile; exit 1 on any warning.")
@click.option(
    "--call",
    metavar="METHOD[,format=FORMAT]",
    help="Show only: check (or lint), outline (parameters), targets, subrequests.describe.",
)
@click.option(
    "--format",
    "output_format",
    metavar="FORMAT",
    help="Media types of the image: oci (default) or docker; of --check: text, json, sarif or junit.",
)
@click.option("--squash", is_flag=True, help="Make one layer of all that the build adds to its base.")
@click.option("--squash-all", is_flag=True, help="Make one layer of the whole image, its base included.")
@click.option("--load", is_flag=True, help="Keep the image in the store, which is always done.")
@click.option("--push", is_flag=True, help="Push the image under its names when it is built: -o type=registry.")
@log_flag
@cache_flags
@step_flags
@limit_flags
@host_flags
@buildah_flags
@registry_flags
@root_option
@foreign_flags
def command(
    *, cache: CacheFlags, steps: StepFlags, limits: Resources, host: HostFlags, registry: RegistryFlags, **flags: Any
) -> int:
    """Build an image from a Dockerfile and the files in CONTEXT."""
    flags = without_empty(flags)
    request = request_from(flags, os.environ, Groups(cache=cache, steps=steps, limits=limits, host=host))
    elsewhere = Elsewhere(dockerfile=values.dockerfile_address(flags["file"]), keys=dict(steps.ssh_keys))
    if flags["check"] or flags["call"] or flags["output_format"]:
        from pybuild.builder.cli.commands.build.call import answer, call_of, dockerfile_path

        if (call := call_of(flags)) is not None:
            be_root()
            with prepared(request, elsewhere) as ready:
                return answer(call, ready, dockerfile_path(request))
    check_beforehand(request, flags)
    be_root()
    with (
        logged(flags["log_file"] or flags["logfile"]) as logging,
        _display(flags, os.environ) as display,
        prepared(request, elsewhere) as ready,
    ):
        watched = Warnings(logging(display))
        outcome = _built(ready, watched, registry, display.tells_log)
    ids = "\n".join(str(each.image_id) for _, each in outcome.targets) or str(outcome.image_id)
    if flags["iidfile"] is not None:
        replace_file(flags["iidfile"], ids.encode())
    if flags["iidfile_raw"] is not None:
        replace_file(flags["iidfile_raw"], ids.replace("sha256:", "").encode())
    if flags["metadata_file"] is not None:
        replace_file(flags["metadata_file"], metadata(outcome, watched.found, os.environ))
    # What went to standard output is all that is wanted there.
    if _mode(flags, os.environ) == "quiet" and not streams(request):
        say(ids)
    return 0


def request_from(flags: Mapping[str, Any], env: Mapping[str, str], groups: Groups) -> Request:
    """Return the request that *flags*, *env* and *groups* make. Raises RequestError."""
    flags = as_docker_has_it(flags, env)
    build_args = values.build_arguments(flags["build_args"], env)
    annotated = annotations(flags["annotations"])
    asked = read_outputs(
        (*flags["outputs"], *(["type=registry"] if flags["push"] else [])),
        flags["output_format"] or "",
        values.compression(flags["compression"]) if flags["compression"] else None,
        annotated=bool(annotated),
    )
    tags = full_names((*flags["tags"], *asked.names))
    wanted = targets([item for item in flags["targets"] if item], tags)
    return Request.of(
        context=values.context(flags["context"]),
        contexts=values.contexts(flags["build_contexts"]),
        dockerfile=values.dockerfile(flags["file"]),
        tags=wanted[0].tags if len(wanted) == 1 else tags,
        build_args=build_args,
        target=wanted[0].stage if len(wanted) == 1 else None,
        targets=wanted if len(wanted) > 1 else (),
        labels=values.labels(flags["labels"]),
        annotations=(*annotated, *asked.annotations),
        **values.platform_fields(values.platforms(flags["platforms"], env), dict(build_args)),
        network=values.network(flags["network"] or "default"),
        add_hosts=values.hosts(flags["add_hosts"]),
        no_cache=flags["no_cache"],
        pull=flags["pull_policy"] or ("always" if flags["pull"] else "missing"),
        compression=asked.compression,
        outputs=asked.outputs,
        squash="all" if flags["squash_all"] else "new" if flags["squash"] else "",
        stored=asked.stored,
        **{"source_date_epoch": values.source_date_epoch(dict(build_args)), **buildah_values(flags, env)},
        resources=groups.limits,
        volumes=groups.host.volumes,
        resolv_conf=groups.host.resolv_conf,
        secrets=groups.steps.secrets,
        ssh=groups.steps.ssh,
        allow=groups.steps.allow,
        cache_from=groups.cache.cache_from,
        cache_to=(*groups.cache.cache_to, *inline_cache(dict(build_args))),
        no_cache_filter=groups.cache.no_cache_filter,
        cache_ttl=groups.cache.cache_ttl,
    )


def _mode(flags: Mapping[str, Any], env: Mapping[str, str]) -> str:
    return "quiet" if flags["quiet"] else flags["progress"] or env.get("BUILDKIT_PROGRESS") or "auto"


def _display(flags: Mapping[str, Any], env: Mapping[str, str]) -> OpenDisplay:
    mode = _mode(flags, env)
    if mode not in MODES:
        raise RequestError(f"invalid BUILDKIT_PROGRESS {mode!r}", hint=f"use one of {', '.join(MODES)}")
    try:
        return open_display(mode, sys.stderr, env)
    except ValueError as error:
        raise RequestError(str(error)) from error


def _build() -> Callable[..., Any]:
    given = tools().build
    if given is not None:
        return given
    from pybuild.builder.build import build

    return build


def _built(request: Request, progress: Progress, registry: RegistryFlags, logged: Callable[[], bool]) -> Any:
    opened = registry.of(store())
    try:
        outcome = _build()(request, opened, progress)
    except (BuildError, DockerfileError) as error:
        from pybuild.builder.cli.commands.build.failures import told

        raise told(error, logged=logged()) from error
    else:
        tidy(opened)
        return outcome
    finally:
        opened.close()
