"""``pybuild build``: from flags to a request, from a request to an image and the files that name it."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from pybuild.builder.cli.command import Command, root_option
from pybuild.builder.cli.commands.build.carry_out import ReportSettings, carry_out, deadline_of
from pybuild.builder.cli.commands.build.inputs import Deferred, materialized
from pybuild.builder.cli.flags import build_values as values
from pybuild.builder.cli.flags.buildah import BuildahFlags
from pybuild.builder.cli.flags.cache import CacheFlags
from pybuild.builder.cli.flags.group import part, takes
from pybuild.builder.cli.flags.host import HostFlags, choose_isolation
from pybuild.builder.cli.flags.image import ImageFlags, targets
from pybuild.builder.cli.flags.limits import LimitFlags
from pybuild.builder.cli.flags.output import annotations, read_outputs
from pybuild.builder.cli.flags.registry import RegistryFlags
from pybuild.builder.cli.flags.report import ReportFlags
from pybuild.builder.cli.flags.steps import StepFlags
from pybuild.builder.cli.flags.unsupported import add_unsupported_flags
from pybuild.builder.cli.tools import is_terminal, store, warn
from pybuild.builder.errors import RequestError
from pybuild.builder.outputs.files import check_destination
from pybuild.builder.request import Changes, Request, Secret, changes
from pybuild.builder.request.checks import full_names
from pybuild.runtime.values import frozen

_EPILOG = """\b
Differences from docker build:
  - There is no daemon. Images are kept in pybuild's store. To pass one on to
    Docker, use --load, "pybuild save" or -o type=docker,dest=FILE.
  - --load and -o type=docker need a Docker daemon ($DOCKER_HOST, the current
    context, /var/run/docker.sock) or podman. Without them the image is in the
    store only. A daemon that has some of the layers gets only the others.
    Attestations are not supported: asking for them with --sbom, --provenance or
    --attest is an error. --rm is ignored with a warning.
  - With several targets, --iidfile has one line and --metadata-file one key for
    each. -o type=oci and type=docker write all images to one archive; type=local
    and type=tar need a single target.
  - With several platforms, the store and the outputs get an index of all images;
    --iidfile and -q give the digest of the index. -o type=local and type=tar write
    one directory for each platform, such as linux_arm64, unless
    platform-split=false. -o type=docker needs a single platform.
  - -o has Docker's options, among them oci-mediatypes, compression,
    force-compression, annotation.KEY and source-date-epoch. The image in the store
    follows the first -o that writes an image.
  - With SOURCE_DATE_EPOCH, later times of files in new layers are set back to it:
    rewrite-timestamp is always on. Layers of the base stay as they are.
  - -o type=local leaves out set-user-ID bits, device nodes and pipes, and never
    replaces an existing directory by a file.
  - Exit codes: 1 a step failed, or the time was over; 2 wrong usage or an error in the Dockerfile;
    3 the host lacks something; 4 pulling a base image failed; 5 pushing the image or a
    cache failed.

CONTEXT is a directory, the URL of a git repository, of an archive or of a
Dockerfile, or - for a Dockerfile or a tar archive on standard input.
"""


@frozen
class BuildFlags:
    """The groups of flags of ``build``."""

    image: ImageFlags = part(ImageFlags)
    report: ReportFlags = part(ReportFlags)
    cache: CacheFlags = part(CacheFlags)
    steps: StepFlags = part(StepFlags)
    limits: LimitFlags = part(LimitFlags)
    host: HostFlags = part(HostFlags)
    buildah: BuildahFlags = part(BuildahFlags)
    registry: RegistryFlags = part(RegistryFlags)


@click.command("build", cls=Command, epilog=_EPILOG)
@takes(BuildFlags, "flags")
@root_option
@add_unsupported_flags
def command(*, flags: BuildFlags) -> int:
    """Build an image from a Dockerfile and the files in CONTEXT."""
    report = flags.report
    choose_isolation(flags.host.isolation)
    request = request_from(flags, os.environ)
    keys = flags.steps.ssh_keys(os.environ)
    deferred = Deferred(dockerfile_url=values.dockerfile_address(flags.image.file), ssh_keys=keys)
    if report.check or report.call or report.older_call or report.output_format:
        from pybuild.builder.cli.commands.build.call import answer, call_of, dockerfile_path

        if (call := call_of(report)) is not None:
            with deadline_of(request.execution.timeout), materialized(request, deferred) as ready:
                return answer(call, ready, dockerfile_path(request))
    settings = ReportSettings(
        mode="quiet" if report.quiet else report.progress or os.environ.get("BUILDKIT_PROGRESS") or "auto",
        log_file=report.log_file or flags.buildah.logfile,
        iidfile=report.iidfile,
        iidfile_raw=flags.buildah.iidfile_raw,
        metadata_file=report.metadata_file,
    )
    _check_beforehand(request, (settings.iidfile, settings.iidfile_raw, settings.metadata_file))
    return carry_out(
        request,
        settings,
        prepare=lambda: materialized(request, deferred),
        opened=lambda: store(flags.registry.access()),
    )


def request_from(flags: BuildFlags, env: Mapping[str, str]) -> Request:
    """Return the request that *flags* and *env* make. Raises RequestError."""
    image, buildah = flags.image, flags.buildah
    arguments = values.build_arguments(buildah.all_arguments(image.build_args, env), env)
    wanted = values.platforms(buildah.all_platforms(image.platforms), env)
    context = values.context(image.context)
    # A field that two groups set is a TypeError in each build: one of the values would be lost.
    return Request.of(
        context=context,
        build_args=arguments,
        source_date_epoch=buildah.epoch(dict(arguments)),
        **image.request(),
        **buildah.request(env),
        **flags.cache.request(dict(arguments)),
        **flags.steps.request(env),
        **flags.limits.request(),
        **flags.host.request(),
        **values.platform_fields(wanted, dict(arguments)),
        **_result(flags),
    )


def _result(flags: BuildFlags) -> Changes:
    """Return what is made of the image, and under which names."""
    image, buildah = flags.image, flags.buildah
    annotated = annotations(image.annotations)
    named = image.compression or buildah.compression()
    asked = read_outputs(
        (*image.outputs, *(["type=docker"] if image.load else []), *(["type=registry"] if image.push else [])),
        flags.report.output_format or "",
        values.parse_compression(named) if named else None,
        annotated=bool(annotated),
    )
    tags = full_names((*image.tags, *asked.names))
    wanted = targets([item for item in image.targets if item], tags)
    return changes(
        tags=wanted[0].tags if len(wanted) == 1 else tags,
        target=wanted[0].stage if len(wanted) == 1 else None,
        targets=wanted if len(wanted) > 1 else (),
        annotations=(*annotated, *asked.annotations),
        compression=asked.compression,
        outputs=asked.outputs,
        squash="all" if image.squash_all else "new" if image.squash or not buildah.layers else "",
        stored=asked.stored,
    )


def _check_beforehand(request: Request, files: Iterable[Path | None]) -> None:
    """Raise RequestError if a path in *request*, or one of *files*, to which results are written, cannot be used.

    Otherwise the build would fail at its end.
    """
    _check_outputs(request)
    check_secrets(request.execution.secrets)
    for path in files:
        check_destination(path)
    for output in request.result.outputs:
        check_destination(output.file)
        output.check()


def check_secrets(secrets: Iterable[Secret]) -> None:
    """Raise RequestError for a secret whose file is not there, and warn of one whose variable is not set."""
    for secret in secrets:
        if secret.file is None and secret.variable not in os.environ:
            warn(f"secret {secret.id} is empty: the variable {secret.variable} is not set")
        if secret.file is not None and not secret.file.exists():
            hint = f"--secret id={secret.id},src=FILE or id={secret.id},env=NAME"
            raise RequestError(f"failed to stat {secret.file}: no such file or directory", hint=hint)


def _check_outputs(request: Request) -> None:
    result = request.result
    found = [item for item in result.outputs if item.streams]
    named = all(target.tags for target in result.targets) if result.targets else bool(result.tags)
    if any(item.pushes for item in result.outputs) and not named:
        raise RequestError("tag is needed when pushing to registry", hint="give -t NAME")
    if len(found) > 1:
        raise RequestError("only one --output can go to standard output")
    if found and is_terminal(1):
        raise RequestError("refusing to write an archive to a terminal", hint="redirect it, or give dest=FILE")
