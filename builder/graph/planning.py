"""From a request to its plan: parse, pin the bases, resolve, plan; or the plan that an earlier build left behind.

A remembered plan holds as long as the text of the Dockerfile, the request and what the base references stand for are
the same. Looking it up imports neither the parser nor the graph.
"""

import json
from pathlib import Path

from pybuild.builder.content.context import ignore_text, open_context
from pybuild.builder.dockerfile import DockerfileText
from pybuild.builder.oci.digest import Digest
from pybuild.builder.plan import codec
from pybuild.builder.plan.plan import Plan
from pybuild.builder.request import Files, Request
from pybuild.builder.sources.pins import Remotes, is_pin
from pybuild.builder.store.store import Store

_PLAN_FORMAT = 9


def make_plan(file: DockerfileText, request: Request, store: Store, remotes: Remotes | None = None) -> Plan:
    """Return the plan of a build, from an earlier build when nothing that it depends on has changed.

    *remotes* are the pins of this build, when something was pinned before its plan.

    Raises:
        DockerfileError, BuildError: what is wrong, with its span where it has one.
    """
    key = _key(file, request)
    asked = remotes or Remotes(request.execution, store)
    remembered = None if request.caches.pull in {"always", "newer"} else _remembered(key, request, store, asked)
    if remembered is not None:
        return remembered
    from pybuild.builder.graph.fresh import fresh_plan

    plan = fresh_plan(file, request, store, asked)
    store.cache.put_plan(key, json.dumps(codec.encode(plan)))
    return plan


def _key(file: DockerfileText, request: Request) -> Digest:
    """Return the digest of everything that planning depends on, the pinned bases aside."""
    return codec.digest(
        _PLAN_FORMAT,
        file.name,
        file.text,
        _ignored(request.files),
        request.files.context if isinstance(request.files.context, str) else "",
        request.files.contexts,
        request.planning,
    )


def _ignored(files: Files) -> str:
    """Return the text of the ignore file: warnings about what it leaves out are part of the plan."""
    if not isinstance(files.context, Path):
        return ""
    with open_context(files.context) as root:
        return ignore_text(root, files) or ""


def _remembered(key: Digest, request: Request, store: Store, remotes: Remotes) -> Plan | None:
    document = store.cache.plan(key)
    if document is None:
        return None
    try:
        plan = codec.decode(json.loads(document))
    except (KeyError, TypeError, ValueError):
        return None  # another version wrote it
    if not isinstance(plan, Plan):
        return None
    images = ((name, pin) for name, pin in plan.pins if not is_pin(name))
    if not all(_still(name, pin, request, store) for name, pin in images):
        return None
    return plan if all(remotes.holds(name, pin) for name, pin in plan.pins if is_pin(name)) else None


def _still(name: str, pin: str, request: Request, store: Store) -> bool:
    """Tell whether *name*, a reference with or without a platform, still stands for the manifest planned with."""
    from pybuild.builder.platforms import wanted_platform
    from pybuild.builder.sources.bases import stored

    reference, _, platform = name.partition(" ")
    image = stored(reference, wanted_platform(platform or request.planning.platform), store)
    return image is not None and str(image.descriptor.digest) == pin
