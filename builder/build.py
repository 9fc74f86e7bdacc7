"""A build, in one sentence: text to Dockerfile to stages to graph to layers to image to outputs."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace

from pybuild.builder import multi
from pybuild.builder.content.context import useless_ignore_files
from pybuild.builder.definition.epoch import with_epoch
from pybuild.builder.definition.load import load_definition
from pybuild.builder.dockerfile import DockerfileText
from pybuild.builder.errors import BuildError, ResolveError
from pybuild.builder.graph.planning import make_plan
from pybuild.builder.multi import Plans, PlatformImage
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.outputs.export import check_forms, export, export_together, timed
from pybuild.builder.plan.plan import Plan
from pybuild.builder.progress import Progress, Warned, silent
from pybuild.builder.reporter import Reporter
from pybuild.builder.request import Request
from pybuild.builder.solve.solver import solve_with_keys
from pybuild.builder.sources.pins import Remotes
from pybuild.builder.store.store import Store
from pybuild.grammar.errors import DockerfileError
from pybuild.runtime.values import frozen


@frozen
class Outcome:
    """What a build made: the image ID, the descriptor of its manifest, and the names it has in the store."""

    image_id: Digest
    descriptor: Descriptor
    names: tuple[str, ...]
    created: str = ""
    """When the image was made, RFC 3339; of an index, when the last of its images was."""
    platforms: tuple[PlatformImage, ...] = ()
    """Of a build for several platforms, the image for each; *descriptor* is then that of the index, *image_id* its
    digest."""
    targets: tuple[tuple[str, "Outcome"], ...] = ()
    """Of a build of several targets, (stage, outcome) of each; the rest is that of the last."""


def build(request: Request, store: Store, progress: Progress = silent) -> Outcome:
    """Build the target of a Dockerfile, keep the image in the store and write it to the outputs.

    Nothing is named or written unless the whole build succeeds; steps that were finished stay in the cache.

    Raises:
        DockerfileError: the Dockerfile is wrong; render it with its source.
        BuildError: RequestError, ResolveError, StepFailed, Cancelled.
        OciError, RuntimeHostError: the store or the host failed.
    """
    if request.files.ignore_file is not None or request.execution.secrets:
        from pybuild.builder.definition.once import read_once

        with read_once(request) as again:
            return _build(again, store, progress)
    return _build(request, store, progress)


def _build(request: Request, store: Store, progress: Progress) -> Outcome:
    multi.check_request(request)
    check_forms(request)
    reporter = Reporter(progress)
    remotes = Remotes(request.execution, store, reporter)
    with store.in_use():
        file = load_definition(request, store, remotes, reporter)
        with file.located(), _early_warnings(file, request, progress):
            request = timed(with_epoch(file, request, store, remotes, reporter))
            plans = _plans(file, request, store, remotes)
        _warn(plans, useless_ignore_files(request.files), progress)
        with file.located(), _caches(request, store, reporter):
            if request.result.targets:
                return _for_targets(plans, request, store, reporter)
            if request.result.platforms:
                return _for_platforms(plans, request, store, reporter)
            return _for_one(plans[0][1], request, store, reporter)


@contextmanager
def _early_warnings(file: DockerfileText, request: Request, progress: Progress) -> Iterator[None]:
    """When a mistake in the Dockerfile ends the block, tell what there is to say of the rest."""
    try:
        yield
    except (DockerfileError, ResolveError):
        from pybuild.builder.checks.early import early_warnings

        for message, line in early_warnings(file, request.planning):
            progress(Warned(message=message, line=line))
        raise


def _warn(plans: Plans, remarks: Iterable[str], progress: Progress) -> None:
    """Tell each warning once. Raises BuildError when the Dockerfile says that they are errors."""
    for remark in remarks:
        progress(Warned(message=remark, line=0))
    for message, line in dict.fromkeys(warning for _, plan in plans for warning in plan.warnings):
        progress(Warned(message=message, line=line))
    refusal = next((plan.refusal for _, plan in plans if plan.refusal), "")
    if refusal:
        raise BuildError(
            refusal, hint="the warnings above are errors here, since error=true is among the options of the check"
        )


def _plans(file: DockerfileText, request: Request, store: Store, remotes: Remotes) -> Plans:
    """Return the plan of the build, or of a build of several targets or platforms those of all."""
    if request.result.targets:
        return multi.make_target_plans(file, request, store, remotes)
    if request.result.platforms:
        return multi.make_plans(file, request, store, remotes)
    return (("", make_plan(file, request, store, remotes)),)


def _for_one(plan: Plan, request: Request, store: Store, reporter: Reporter) -> Outcome:
    reporter.expect(plan, multi.last_steps(request))
    solved = solve_with_keys(plan, request, store, reporter)
    with reporter.step("exporting to image") as step:
        image = multi.assemble_one(plan, solved, request, store)
        step.status(f"writing image {image.id}")
        kept = export(image.descriptor, request.result.tags, request, store, step)
        outcome = Outcome(image_id=image.id, descriptor=kept.descriptor, names=kept.names, created=image.config.created)
    multi.export_caches((solved,), request, store, reporter)
    return outcome


def _for_platforms(plans: Plans, request: Request, store: Store, reporter: Reporter) -> Outcome:
    solved = multi.solve_plans(plans, request, store, reporter)
    with reporter.step("exporting to image") as step:
        images = multi.assemble_all(plans, solved, request, store)
        for image in images:
            step.status(f"writing image {image.image_id}")
        index = multi.write_index(images, request, store)
        kept = export(index, request.result.tags, request, store, step)
        found = kept.descriptor
        created = max(image.created for image in images)
        outcome = Outcome(image_id=found.digest, descriptor=found, names=kept.names, created=created, platforms=images)
    multi.export_caches(solved, request, store, reporter)
    return outcome


def _for_targets(plans: Plans, request: Request, store: Store, reporter: Reporter) -> Outcome:
    solved = multi.solve_plans(plans, request, store, reporter)
    images = multi.assemble_all(plans, solved, request, store)
    outcomes = []
    for target, image in zip(request.result.targets, images, strict=True):
        with reporter.step(f"exporting {target.stage} to image") as step:
            step.status(f"writing image {image.image_id}")
            kept = export(image.descriptor, target.tags, request, store, step)
            outcome = Outcome(
                image_id=image.image_id, descriptor=kept.descriptor, names=kept.names, created=image.created
            )
            outcomes.append((target.stage, outcome))
    export_together([image.descriptor for image in images], request, store, reporter)
    multi.export_caches(solved, request, store, reporter)
    return replace(outcomes[-1][1], targets=tuple(outcomes))


def _caches(request: Request, store: Store, reporter: Reporter) -> AbstractContextManager[None]:
    """Let the cache ask other caches, when there are any to ask."""
    if not request.caches.cache_from:
        return nullcontext()
    from pybuild.builder.caches.imported import imported

    return imported(request.caches, store, reporter)
