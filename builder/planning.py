"""From a request to its plan: parse, pin the bases, resolve, plan; or the plan that an earlier build left behind.

A remembered plan holds as long as the text of the Dockerfile, the request and what the base references stand for are
the same. Looking it up imports neither the parser nor the graph.
"""

import json

from builder import codec
from builder.dockerfile import DockerfileText
from builder.machine import Machine
from builder.oci.digest import Digest
from builder.plan import Plan
from builder.request import Request

_PLAN_FORMAT = 1


def make_plan(file: DockerfileText, request: Request, machine: Machine) -> Plan:
    """Return the plan of a build, from an earlier build when nothing that it depends on has changed.

    Raises:
        DockerfileError, BuildError: what is wrong, with its span where it has one.
    """
    key = _key(file, request)
    remembered = None if request.pull else _remembered(key, request, machine)
    if remembered is not None:
        return remembered
    from builder.fresh import fresh_plan

    plan = fresh_plan(file, request, machine)
    machine.cache.put_plan(key, json.dumps(codec.encode(plan)))
    return plan


def _key(file: DockerfileText, request: Request) -> Digest:
    """Return the digest of everything that planning depends on, the pinned bases aside."""
    return codec.digest(
        _PLAN_FORMAT,
        file.name,
        file.text,
        request.build_args,
        request.target,
        request.labels,
        request.platform,
        request.network,
        request.add_hosts,
        tuple(sorted(request.allow)),
    )


def _remembered(key: Digest, request: Request, machine: Machine) -> Plan | None:
    document = machine.cache.plan(key)
    if document is None:
        return None
    plan = codec.decode(json.loads(document))
    if not isinstance(plan, Plan) or not all(_still(name, pin, request, machine) for name, pin in plan.pins):
        return None
    return plan


def _still(reference: str, pin: str, request: Request, machine: Machine) -> bool:
    """Tell whether *reference* still stands for the manifest that the plan was made for."""
    from builder.bases import stored
    from builder.platforms import wanted_platform

    image = stored(reference, wanted_platform(request.platform), machine)
    return image is not None and str(image.descriptor.digest) == pin
