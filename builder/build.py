"""The pipeline of a build: text, Dockerfile, stages, graph, layers, image, outputs. Start reading at `build`."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial

from pybuild.builder.content.context import useless_ignore_files
from pybuild.builder.definition.load import load_definition
from pybuild.builder.dockerfile import defined, ignored_by
from pybuild.builder.errors import BuildError, ResolveError
from pybuild.builder.graph.planning import Plans, make_plans, merge
from pybuild.builder.image.assemble import PlatformImage, write_index, write_planned
from pybuild.builder.image.requested_images import RequestedImage, check_images, requested_images
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.model import Descriptor
from pybuild.builder.outputs.export import check_forms, export, export_together, timed
from pybuild.builder.plan.plan import Definition, Finished, Graph
from pybuild.builder.progress import Progress, Warned, silent
from pybuild.builder.reporter import Counted, Reporter, RunningStep
from pybuild.builder.request import Caches, Planning, Request, Result
from pybuild.builder.request.values import EPOCH
from pybuild.builder.solve.solver import Solved, solve
from pybuild.builder.sources.pins import Remotes
from pybuild.builder.store.store import Store
from pybuild.grammar.errors import DockerfileError
from pybuild.runtime.errors import TreesNeeded
from pybuild.runtime.values import frozen, replace

_EXECUTING = (
    "pybuild.builder.execute.ops",
    "pybuild.builder.solve.schedule",
    "pybuild.builder.execute.copy",
    "pybuild.builder.store.layer_times",
    "pybuild.builder.execute.run",
    "pybuild.builder.store.unpacking",
    "pybuild.runtime.sandbox.forking",
    "pybuild.runtime.sandbox.launcher",
)
"""What most steps are executed with. It is imported while another process makes a new plan, which a build waits for."""


@frozen
class Outcome:
    """The result of a build: the image ID, the descriptor of its manifest, and its names in the store."""

    image_id: Digest
    descriptor: Descriptor
    names: tuple[str, ...]
    created: str = ""
    """The time of creation in RFC 3339; of an index, that of its newest image."""
    platforms: tuple[PlatformImage, ...] = ()
    """The image for each platform of a multi-platform build; *descriptor*, *image_id* are then those of the index."""
    targets: tuple[tuple[str, "Outcome"], ...] = ()
    """The stage and the outcome of each target of a build of several; the other fields are those of the last one."""


def build(request: Request, store: Store, progress: Progress = silent) -> Outcome:
    """Build the targets of a Dockerfile, store the images, and write them to the outputs.

    Images get their names, and outputs are written, only when the whole build has succeeded. Finished steps stay in the
    cache in any case.

    Raises:
        DockerfileError: the Dockerfile has a mistake, which the error locates in its source.
        BuildError: RequestError, ResolveError, StepFailed, Cancelled, TimedOut and the like.
        OciError, RuntimeHostError: the store or the host failed.
    """
    if (timeout := request.execution.timeout) is None:
        return _built(request, store, progress)
    from pybuild.builder.deadline import in_time

    with in_time(timeout) as deadline:
        return _built(request, store, deadline.watched(progress))


def _built(request: Request, store: Store, progress: Progress) -> Outcome:
    """Do as `build` does, without a time limit: each line is a phase, and takes its part of *request*."""
    check_images(request.result)
    check_forms(request.result, request.caches.cache_to, request.files.context, request.execution.compression)
    reporter = Reporter(progress)
    with _with_pipes(request) as readable, store.in_use():
        files, planning, caches = readable.files, readable.planning, readable.caches
        remotes = Remotes(readable.execution, store, reporter)
        dockerfile = load_definition(files, planning, remotes, caches)
        with dockerfile.located(), _early_warnings(dockerfile, planning, progress):
            definition = defined(dockerfile, files, ignored_by(files))
            asked = _timed(definition, readable, remotes)
            images = requested_images(asked.result, asked.planning)
            plans = make_plans(definition, images, remotes, pull=caches.pull, meanwhile=_EXECUTING)
        _warn(plans, useless_ignore_files(files), progress)
        with definition.located():
            store = _imported(caches, store, reporter)
            graph = merge(plans)
            reporter.expect(graph.plan, _last_steps(asked.result, asked.caches))
            solved = _solved(graph, asked, store, reporter)
            outcome = _exported(images, partial(_assembled, plans, solved, asked, store), asked, store, reporter)
            _export_caches(solved.finished, asked.caches, store, reporter)
    return outcome


def _with_pipes(request: Request) -> AbstractContextManager[Request]:
    """Yield *request* with files that can be read more than once: secrets and the ignore file may be pipes."""
    if request.files.ignore_file is None and not request.execution.secrets:
        return nullcontext(request)
    from pybuild.builder.definition.pipes import read_pipes

    return read_pipes(request)


def _timed(definition: Definition, request: Request, remotes: Remotes) -> Request:
    """Return *request* with the time of SOURCE_DATE_EPOCH, which the Dockerfile or an output may set, too."""
    planning, epoch = request.planning, request.execution.source_date_epoch
    if EPOCH in definition.text or EPOCH in dict(planning.build_args):
        from pybuild.builder.definition.epoch import with_epoch

        planning, epoch = with_epoch(definition, planning, epoch, remotes, request.caches)
    epoch = timed(request.result.stored, epoch)
    if planning is request.planning and epoch == request.execution.source_date_epoch:
        return request
    return replace(request, planning=planning, execution=replace(request.execution, source_date_epoch=epoch))


@contextmanager
def _early_warnings(definition: Definition, planning: Planning, progress: Progress) -> Iterator[None]:
    """Report the warnings about the Dockerfile when a mistake in it ends the block."""
    try:
        yield
    except (DockerfileError, ResolveError):
        from pybuild.builder.checks.early import early_warnings

        for message, line in early_warnings(definition, planning):
            progress(Warned(message=message, line=line))
        raise


def _warn(plans: Plans, remarks: Iterable[str], progress: Progress) -> None:
    """Report each warning once. Raises BuildError when the Dockerfile turns warnings into errors."""
    for remark in remarks:
        progress(Warned(message=remark, line=0))
    for message, line in dict.fromkeys(warning for _, plan in plans for warning in plan.warnings):
        progress(Warned(message=message, line=line))
    refusal = next((plan.refusal for _, plan in plans if plan.refusal), "")
    if refusal:
        raise BuildError(
            refusal, hint="the warnings above are errors here, since error=true is among the options of the check"
        )


def _imported(caches: Caches, store: Store, reporter: Reporter) -> Store:
    """Return *store* with the imported caches, which are consulted on a miss."""
    if not caches.cache_from:
        return store
    from pybuild.builder.caches.imported import imported

    return imported(caches, store, reporter)


def _solved(graph: Graph, asked: Request, store: Store, reporter: Reporter) -> Solved:
    """Solve *graph*: in this process, or in one that may unpack images if a step needs them unpacked."""
    with suppress(TreesNeeded):
        return _solved_here(graph, asked, store, reporter)
    from pybuild.builder.definition.pipes import held_descriptors
    from pybuild.builder.store.inside import inside_with

    held = held_descriptors(asked)
    solved, counted = inside_with(held, _solved_inside, store, reporter.progress, graph, asked, reporter.counted())
    reporter.resume(counted)
    return solved


def _solved_here(graph: Graph, asked: Request, store: Store, reporter: Reporter) -> Solved:
    return solve(graph, store, reporter, files=asked.files, execution=asked.execution, caches=asked.caches)


def _solved_inside(
    store: Store, tell: Progress, graph: Graph, asked: Request, counted: Counted
) -> tuple[Solved, Counted]:
    """Solve *graph* in the process that may unpack images; *counted* continues the numbers of the steps."""
    reporter = Reporter(tell, counted)
    # The other process has reported the imported caches, so this one is silent about them.
    with store.in_use():
        known = _imported(asked.caches, store, Reporter(silent))
        return _solved_here(graph, asked, known, reporter), reporter.counted()


def _last_steps(result: Result, caches: Caches) -> int:
    """Return the number of steps after those of the plan: writing images and caches."""
    archives = result.targets and any(output.together for output in result.outputs)
    return (len(result.targets) or 1) + bool(archives) + sum(not spec.inline for spec in caches.cache_to)


def _exported(
    images: tuple[RequestedImage, ...],
    assemble: Callable[[], tuple[PlatformImage, ...]],
    request: Request,
    store: Store,
    reporter: Reporter,
) -> Outcome:
    """Write all images to the store, then give each its names and write it to the outputs."""
    made: tuple[PlatformImage, ...] = ()
    outcomes = []
    for number, each in enumerate(images):
        with reporter.step(each.step) as step:
            # All images are written before the first gets its name, so that a failure leaves no names.
            made = made or assemble()
            own = made if each.is_index else made[number : number + 1]
            for image in own:
                step.status(f"writing image {image.image_id}")
            outcomes.append(_named(each, own, request, store, step))
    if not request.result.targets:
        return outcomes[0]
    export_together([image.descriptor for image in made], request.result, store, reporter)
    stages = (target.stage for target in request.result.targets)
    return replace(outcomes[-1], targets=tuple(zip(stages, outcomes, strict=True)))


def _assembled(plans: Plans, solved: Solved, request: Request, store: Store) -> tuple[PlatformImage, ...]:
    """Write the image of each plan to the store."""
    finished, caches, made = solved.finished, request.caches, []
    for (platform, plan), layers, target in zip(plans, solved.layers, finished.targets, strict=True):
        cache = ""
        if caches.cache_to:
            from pybuild.builder.caches.export import inline

            cache = inline(replace(finished, targets=(target,)), caches, store)
        image = write_planned(
            plan, layers, request.result, request.execution, store, platform=platform, build_cache=cache
        )
        made.append(image)
    return tuple(made)


def _named(
    each: RequestedImage, own: tuple[PlatformImage, ...], request: Request, store: Store, step: RunningStep
) -> Outcome:
    """Give an image, or the index of several, its names in the store, and write it to the outputs."""
    head = write_index(own, request.result, store) if each.is_index else own[0].descriptor
    epoch = request.execution.source_date_epoch
    kept = export(head, each.tags, request.result, store, step, epoch=epoch)
    return Outcome(
        image_id=kept.descriptor.digest if each.is_index else own[0].image_id,
        descriptor=kept.descriptor,
        names=kept.names,
        created=max(image.created for image in own),
        platforms=own if each.is_index else (),
    )


def _export_caches(finished: Finished, caches: Caches, store: Store, reporter: Reporter) -> None:
    """Write the caches of ``--cache-to``; each contains the steps of all images. Raises BuildError."""
    if caches.cache_to:
        from pybuild.builder.caches.export import export as export_caches

        export_caches(finished, caches, store, reporter)
