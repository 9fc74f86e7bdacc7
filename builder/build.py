"""The pipeline of a build: text, Dockerfile, stages, graph, layers, image, outputs. Start reading at `build`."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from itertools import islice

from pybuild.builder.content.context import read_ignore_text, useless_ignore_files, with_surroundings
from pybuild.builder.definition.load import load_definition
from pybuild.builder.errors import BuildError, PullFailed, ResolveError
from pybuild.builder.graph.planning import Plans, RequestedImage, check_images, make_plans, merge, requested_images
from pybuild.builder.image.assemble import PlannedImage, PlatformImage, write_index, write_planned
from pybuild.builder.outputs.export import Outcome, check_forms, epoch_of, export, export_together
from pybuild.builder.plan.plan import Definition, Finished, Graph
from pybuild.builder.progress import Progress, Warned, silent
from pybuild.builder.reporter import Reporter, ReporterState, RunningStep
from pybuild.builder.request import Caches, Execution, Planning, Request, Result
from pybuild.builder.request.values import EPOCH
from pybuild.builder.solve.solver import Solved, SolveSettings, solve
from pybuild.builder.sources.pins import Remotes
from pybuild.builder.store.store import Store
from pybuild.grammar.errors import DockerfileError
from pybuild.runtime.errors import TreesNeeded
from pybuild.runtime.values import replace

_Group = tuple[RequestedImage, tuple[PlatformImage, ...]]
"""What is exported as one, and its images: those of an index are several."""


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
        return _build(request, store, progress)
    from pybuild.builder.deadline import in_time

    with in_time(timeout) as deadline:
        return _build(request, store, deadline.watched(progress))


def _build(request: Request, store: Store, progress: Progress) -> Outcome:
    """Do as `build` does, without a time limit: each line is a phase, and takes its part of *request*."""
    check_images(request.result)
    check_forms(request.result, request.caches.cache_to, request.files.context, request.execution.compression)
    reporter = Reporter(progress)
    with ExitStack() as stack:
        request = stack.enter_context(_with_pipes(request))
        stack.enter_context(store.in_use())
        files, caches = request.files, request.caches
        remotes = Remotes(request.execution, store, reporter)
        dockerfile = load_definition(files, request.planning, remotes, caches)
        with dockerfile.located(), _early_warnings(dockerfile, request.planning, progress):
            definition = with_surroundings(dockerfile, files, read_ignore_text(files))
            request = _with_epoch(definition, request, remotes)
            requested = requested_images(request.result, request.planning)
            plans = make_plans(definition, requested, remotes, pull=caches.pull, preload=True)
        _warn(plans, useless_ignore_files(files), progress)
        with definition.located():
            consulting = _with_imported(caches, store, reporter)
            graph = merge(plans)
            result, execution = request.result, request.execution
            reporter.expect(graph.plan, _last_steps(result, caches))
            settings = SolveSettings(files=files, execution=execution, caches=caches)
            solved = _solve(graph, settings, consulting, reporter)
            planned = _planned_images(plans, solved, caches, consulting)
            images = _assemble(planned, result, execution, consulting, reporter)
            outcome = _export_all(_grouped(requested, images), result, execution, consulting, reporter)
            _export_caches(solved.finished, caches, consulting, reporter)
    return outcome


def _with_pipes(request: Request) -> AbstractContextManager[Request]:
    """Yield *request* with files that can be read more than once: secrets and the ignore file may be pipes."""
    if request.files.ignore_file is None and not request.execution.secrets:
        return nullcontext(request)
    from pybuild.builder.definition.pipes import read_pipes

    return read_pipes(request)


def _with_epoch(definition: Definition, request: Request, remotes: Remotes) -> Request:
    """Return *request* with the time of SOURCE_DATE_EPOCH, which the Dockerfile or an output may set, too."""
    planning, epoch = request.planning, request.execution.source_date_epoch
    if EPOCH in definition.text or EPOCH in dict(planning.build_args):
        from pybuild.builder.definition.epoch import with_epoch

        planning, epoch = with_epoch(definition, planning, epoch, remotes, request.caches)
    epoch = epoch_of(request.result.stored, epoch)
    if planning is request.planning and epoch == request.execution.source_date_epoch:
        return request
    return replace(request, planning=planning, execution=replace(request.execution, source_date_epoch=epoch))


@contextmanager
def _early_warnings(definition: Definition, planning: Planning, progress: Progress) -> Iterator[None]:
    """Report the warnings about the Dockerfile when a mistake in it ends the block."""
    try:
        yield
    except (DockerfileError, ResolveError, PullFailed) as error:
        from pybuild.builder.checks.early_warnings import early_warnings

        # Without its base a stage is not looked at.
        place = None if isinstance(error, PullFailed) else error.span
        for message, line in early_warnings(definition, planning, place):
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


def _with_imported(caches: Caches, store: Store, reporter: Reporter) -> Store:
    """Return *store* with the imported caches, which are consulted on a miss."""
    if not caches.cache_from:
        return store
    from pybuild.builder.caches.imported import imported

    return imported(caches, store, reporter)


def _solve(graph: Graph, settings: SolveSettings, store: Store, reporter: Reporter) -> Solved:
    """Solve *graph*: in this process, or in one that may unpack images if a step needs them unpacked."""
    with suppress(TreesNeeded):
        return solve(graph, settings, store, reporter)
    from pybuild.builder.definition.pipes import held_descriptors
    from pybuild.builder.store.worker_calls import WorkerAccess

    held = held_descriptors(settings.files, settings.execution.secrets)
    worker = WorkerAccess(store, reporter.progress, held)
    solved, state = worker.call(_solve_in_worker, graph, settings, reporter.state())
    reporter.resume(state)
    return solved


def _solve_in_worker(
    store: Store, send_event: Progress, graph: Graph, settings: SolveSettings, state: ReporterState
) -> tuple[Solved, ReporterState]:
    """Solve *graph* in the process that may unpack images; *state* continues the numbers of the steps."""
    reporter = Reporter(send_event, state)
    # The other process has reported the imported caches, so this one is silent about them.
    with store.in_use():
        consulting = _with_imported(settings.caches, store, Reporter(silent))
        return solve(graph, settings, consulting, reporter), reporter.state()


def _last_steps(result: Result, caches: Caches) -> int:
    """Return the number of steps after those of the plan: squashing, writing images and caches."""
    archives = result.targets and any(output.together for output in result.outputs)
    return (
        bool(result.squash)
        + (len(result.targets) or 1)
        + bool(archives)
        + sum(not spec.inline for spec in caches.cache_to)
    )


def _planned_images(plans: Plans, solved: Solved, caches: Caches, store: Store) -> tuple[PlannedImage, ...]:
    """Return the image that each plan describes, with its layers and its inline cache."""
    finished = solved.finished
    return tuple(
        PlannedImage(
            platform=platform,
            plan=plan,
            layers=layers,
            build_cache=_inline_cache(replace(finished, targets=(target,)), caches, store),
        )
        for (platform, plan), layers, target in zip(plans, solved.layers, finished.targets, strict=True)
    )


def _inline_cache(finished: Finished, caches: Caches, store: Store) -> str:
    """Return the document of an inline cache for one image, "" when the build exports no cache."""
    if not caches.cache_to:
        return ""
    from pybuild.builder.caches.export import inline

    return inline(finished, caches, store)


def _assemble(
    planned: tuple[PlannedImage, ...], result: Result, execution: Execution, store: Store, reporter: Reporter
) -> tuple[PlatformImage, ...]:
    """Write the images to the store. None of them has a name yet, so that a failure leaves no names."""
    with reporter.step("squashing layers") if result.squash else nullcontext():
        return tuple(write_planned(image, result, execution, store) for image in planned)


def _grouped(requested: tuple[RequestedImage, ...], images: tuple[PlatformImage, ...]) -> tuple[_Group, ...]:
    """Return what is exported as one, each with its images, of which those of an index are several."""
    remaining = iter(images)
    return tuple((each, tuple(islice(remaining, len(each.images)))) for each in requested)


def _export_all(
    groups: tuple[_Group, ...], result: Result, execution: Execution, store: Store, reporter: Reporter
) -> Outcome:
    """Give each requested image its names, and write it to the outputs."""
    outcomes = []
    for requested, images in groups:
        with reporter.step(requested.step) as step:
            outcomes.append(_export_one((requested, images), result, execution, store, step))
    if not result.targets:
        return outcomes[0]
    export_together([image.descriptor for _, images in groups for image in images], result, store, reporter)
    stages = (target.stage for target in result.targets)
    return replace(outcomes[-1], targets=tuple(zip(stages, outcomes, strict=True)))


def _export_one(group: _Group, result: Result, execution: Execution, store: Store, step: RunningStep) -> Outcome:
    """Give an image, or the index of several, its names in the store, and write it to the outputs."""
    requested, images = group
    for image in images:
        step.status(f"writing image {image.image_id}")
    head = write_index(images, result, store) if requested.is_index else images[0].descriptor
    exported = export(head, replace(result, tags=requested.tags), store, step, epoch=execution.source_date_epoch)
    return Outcome(
        images=images,
        index=exported.descriptor if requested.is_index else None,
        descriptor=exported.descriptor,
        names=exported.names,
    )


def _export_caches(finished: Finished, caches: Caches, store: Store, reporter: Reporter) -> None:
    """Write the caches of ``--cache-to``; each contains the steps of all images. Raises BuildError."""
    if caches.cache_to:
        from pybuild.builder.caches.export import export as export_caches

        export_caches(finished, caches, store, reporter)
