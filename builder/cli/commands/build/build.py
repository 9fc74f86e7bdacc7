"""``pybuild build``: from flags to a request, from a request to an image and the files that name it."""

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import click

from pybuild.builder.cli.commands.build.metadata import Warnings, metadata
from pybuild.builder.cli.commands.build.preflight import check_beforehand, streams
from pybuild.builder.cli.commands.build.stdin_context import Provided, prepared
from pybuild.builder.cli.flags import build as values
from pybuild.builder.cli.flags.buildah import BuildahFlags
from pybuild.builder.cli.flags.cache import CacheFlags
from pybuild.builder.cli.flags.foreign import foreign_flags
from pybuild.builder.cli.flags.group import part, takes
from pybuild.builder.cli.flags.host import HostFlags
from pybuild.builder.cli.flags.image import ImageFlags, targets
from pybuild.builder.cli.flags.limits import LimitFlags
from pybuild.builder.cli.flags.output import annotations, read_outputs
from pybuild.builder.cli.flags.registry import RegistryFlags
from pybuild.builder.cli.flags.report import ReportFlags, logged
from pybuild.builder.cli.flags.steps import StepFlags
from pybuild.builder.cli.housekeeping import tidy
from pybuild.builder.cli.tools import Command, be_root, root_option, say, store, tools
from pybuild.builder.display.choose import MODES, OpenDisplay, open_display
from pybuild.builder.errors import BuildError, RequestError
from pybuild.builder.image.names import full_names
from pybuild.builder.outputs.files import replace_file
from pybuild.builder.progress import Progress
from pybuild.builder.request import Changes, Request, RequestFields
from pybuild.grammar.errors import DockerfileError
from pybuild.runtime.values import frozen

_EPILOG = """\b
Differences from docker build:
  - There is no daemon. Images are kept in pybuild's store. To pass one on to
    Docker, use "pybuild save" or -o type=docker.
  - --load has no effect, because images are always loaded into the store.
    Attestations are not supported: asking for them with --sbom, --provenance or
    --attest is an error. --rm is ignored with a warning.
  - With several targets, --iidfile has one line and --metadata-file one key for
    each. -o type=oci and type=docker write all images to one archive; type=local
    and type=tar need a single target.
  - With several platforms, the store and the outputs get an index of all images,
    and --iidfile and -q its digest. -o type=local and type=tar write one directory
    for each platform, such as linux_arm64, unless platform-split=false.
    -o type=docker needs a single platform.
  - -o has Docker's options, among them oci-mediatypes, compression,
    force-compression, annotation.KEY and source-date-epoch. The image in the store
    follows the first -o that writes an image.
  - With SOURCE_DATE_EPOCH, later times of files in new layers are set back to it:
    rewrite-timestamp is always on. Layers of the base stay as they are.
  - -o type=local leaves out set-user-ID bits, device nodes and pipes, and never
    replaces an existing directory by a file.
  - Exit codes: 1 a step failed; 2 wrong usage or an error in the Dockerfile;
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


@click.command("build", cls=Command, epilog=_EPILOG, short_help="Build an image from a Dockerfile.")
@takes(BuildFlags, "flags")
@root_option
@foreign_flags
def command(*, flags: BuildFlags) -> int:
    """Build an image from a Dockerfile and the files in CONTEXT."""
    report = flags.report
    request = request_from(flags, os.environ)
    keys = flags.steps.ssh_keys(os.environ)
    elsewhere = Provided(dockerfile=values.dockerfile_address(flags.image.file), keys=keys)
    if report.check or report.call or report.output_format:
        from pybuild.builder.cli.commands.build.call import answer, call_of, dockerfile_path

        if (call := call_of(report)) is not None:
            be_root()
            with prepared(request, elsewhere) as ready:
                return answer(call, ready, dockerfile_path(request))
    check_beforehand(request, (report.iidfile, flags.buildah.iidfile_raw, report.metadata_file))
    be_root()
    with (
        logged(report.log_file or flags.buildah.logfile) as logging,
        _display(report, os.environ) as display,
        prepared(request, elsewhere) as ready,
    ):
        watched = Warnings(logging(display))
        outcome = _built(ready, watched, flags.registry, display.tells_log)
    ids = "\n".join(str(each.image_id) for _, each in outcome.targets) or str(outcome.image_id)
    if report.iidfile is not None:
        replace_file(report.iidfile, ids.encode())
    if flags.buildah.iidfile_raw is not None:
        replace_file(flags.buildah.iidfile_raw, ids.replace("sha256:", "").encode())
    if report.metadata_file is not None:
        replace_file(report.metadata_file, metadata(outcome, watched.found, os.environ))
    # What went to standard output is all that is wanted there.
    if _mode(report, os.environ) == "quiet" and not streams(request):
        say(ids)
    return 0


def request_from(flags: BuildFlags, env: Mapping[str, str]) -> Request:
    """Return the request that *flags* and *env* make. Raises RequestError."""
    image, buildah = flags.image, flags.buildah
    arguments = values.build_arguments(buildah.all_arguments(image.build_args, env), env)
    wanted = values.platforms(buildah.all_platforms(image.platforms), env)
    fields: RequestFields = {
        "context": values.context(image.context),
        **image.request(),
        **buildah.request(env),
        **flags.cache.request(dict(arguments)),
        **flags.steps.request(env),
        **flags.limits.request(),
        **flags.host.request(),
        **values.platform_fields(wanted, dict(arguments)),
        **_result(flags),
        "build_args": arguments,
        "source_date_epoch": buildah.epoch(dict(arguments)),
    }
    return Request.of(**fields)


def _result(flags: BuildFlags) -> Changes:
    """Return what is made of the image, and under which names."""
    image, buildah = flags.image, flags.buildah
    annotated = annotations(image.annotations)
    named = image.compression or buildah.compression()
    asked = read_outputs(
        (*image.outputs, *(["type=registry"] if image.push else [])),
        flags.report.output_format or "",
        values.compression(named) if named else None,
        annotated=bool(annotated),
    )
    tags = full_names((*image.tags, *asked.names))
    wanted = targets([item for item in image.targets if item], tags)
    return {
        "tags": wanted[0].tags if len(wanted) == 1 else tags,
        "target": wanted[0].stage if len(wanted) == 1 else None,
        "targets": wanted if len(wanted) > 1 else (),
        "annotations": (*annotated, *asked.annotations),
        "compression": asked.compression,
        "outputs": asked.outputs,
        "squash": "all" if image.squash_all else "new" if image.squash or not buildah.layers else "",
        "stored": asked.stored,
    }


def _mode(report: ReportFlags, env: Mapping[str, str]) -> str:
    return "quiet" if report.quiet else report.progress or env.get("BUILDKIT_PROGRESS") or "auto"


def _display(report: ReportFlags, env: Mapping[str, str]) -> OpenDisplay:
    mode = _mode(report, env)
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
