"""A build, in one sentence: text to Dockerfile to stages to graph to layers to image to outputs."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

from builder.annotations import check_annotations, manifest_annotations
from builder.definition import load_definition
from builder.errors import BuildError
from builder.image import assemble
from builder.machine import Machine
from builder.names import full_names
from builder.oci.digest import Digest
from builder.oci.image import Image
from builder.oci.model import Descriptor, ImageConfig
from builder.plan import Plan
from builder.planning import make_plan
from builder.progress import Progress, Warned, silent
from builder.remote.pins import Remotes
from builder.request import Request
from builder.solver import Solved, solve_with_keys
from builder.steps import Reporter, RunningStep


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a build made: the image ID, the descriptor of its manifest, and the names it has in the store."""

    image_id: Digest
    descriptor: Descriptor
    names: tuple[str, ...]


def build(request: Request, machine: Machine, progress: Progress = silent) -> Outcome:
    """Build the target of a Dockerfile, keep the image in the store and write it to the outputs.

    Nothing is named or written unless the whole build succeeds; steps that were finished stay in the cache.

    Raises:
        DockerfileError: the Dockerfile is wrong; render it with its source.
        BuildError: RequestError, ResolveError, StepFailed, Cancelled.
        OciError, RuntimeHostError: the store or the host failed.
    """
    names = full_names(request.tags)
    check_annotations(request)
    reporter = Reporter(progress)
    remotes = Remotes(request, machine, reporter)
    with machine.in_use():
        with reporter.step("[internal] load build definition from Dockerfile"):
            file = load_definition(request, machine, remotes, reporter)
            plan = make_plan(file, request, machine, remotes)
        for message, line in plan.warnings:
            progress(Warned(message=message, line=line))
        if plan.refusal:
            raise BuildError(plan.refusal, hint="the warnings are errors because the Dockerfile says check=error=true")
        with _caches(request, machine, reporter):
            solved = solve_with_keys(plan, request, machine, reporter)
            with reporter.step("exporting to image") as step:
                image = _export(plan, solved, request, machine, step)
            if request.cache_to:
                from builder.caches.export import export

                export(plan, solved.keys, request, machine, reporter)
    return Outcome(image_id=image.id, descriptor=image.descriptor, names=names)


def _caches(request: Request, machine: Machine, reporter: Reporter) -> AbstractContextManager[None]:
    """Let the cache ask other caches, when there are any to ask."""
    if not request.cache_from:
        return nullcontext()
    from builder.caches.imported import imported

    return imported(request, machine, reporter)


def _export(plan: Plan, solved: Solved, request: Request, machine: Machine, step: RunningStep) -> Image:
    """Write the image to the store under its names, then to the outputs."""
    names = full_names(request.tags)
    config = ImageConfig.from_json(plan.config.encode())
    if request.cache_to:
        from builder.caches.export import inline

        config = replace(config, build_cache=inline(plan, solved.keys, request, machine))
    image = assemble(
        config,
        solved.layers,
        machine.blobs,
        planned=plan.created,
        epoch=request.source_date_epoch,
        annotations=manifest_annotations(request, config),
    )
    step.status(f"writing image {image.id}")
    for name in names:
        machine.layout.tag(name, image.descriptor)
        step.status(f"naming to {name}")
    if not names:
        machine.layout.keep(image.descriptor)
    if request.outputs:
        from builder.outputs.write import write

        write(image.descriptor, names, request.outputs, machine, step.status)
    return image
