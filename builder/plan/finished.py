"""A plan that has been solved, as those who keep what it knows take it."""

from collections.abc import Mapping

from pybuild.builder.oci.digest import Digest
from pybuild.builder.plan.plan import Plan
from pybuild.runtime.values import frozen


@frozen
class Finished:
    """The keys of all vertices that have one, by place; and which places are the targets.

    *own_keys* are those of layers that go on any root (`keys.own_key`), as far as their files are known.
    """

    plan: Plan
    targets: tuple[int, ...]
    keys: Mapping[int, Digest]
    own_keys: Mapping[int, Digest]
