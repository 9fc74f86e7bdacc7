"""Ids and names of containers: what is valid, and a name for one that has none."""

import os
import re

from pybuild.builder.errors import RequestError

_VALID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", re.ASCII)
_ID = re.compile(r"[0-9a-f]{64}")
SHORT = 12
_ADJECTIVES = """
able airy amber apt bold brave brief bright brisk calm candid cheery civil clear clever cosy crisp curious dapper
daring deft eager early easy fair fancy fast fine firm fond frank fresh gentle glad golden good grand happy hardy
honest humble jolly keen kind lively loyal lucid lucky mellow merry mild modest neat nimble noble patient placid
plain polite proud prudent quick quiet rapid ready robust rosy sage serene sharp shiny silent simple sincere smart
smooth snug sober solid spry steady sunny sure swift tame tidy trim true trusty upbeat vivid warm wise witty zesty
""".split()
_NOUNS = """
acorn alder anchor apple aspen badger beacon beaver birch bison brook cedar cherry clover comet condor coral crane
creek dolphin dove eagle elm falcon fern finch fjord forest fox gecko glacier grove harbor hazel heron holly ibis
island ivy jasmine juniper kestrel kiwi lagoon lark laurel lemur lily linden lotus lynx magpie maple marten meadow
mesa moose moss oak olive orchid osprey otter owl panda pebble pine plover poplar puffin quail quartz raven reef
river robin rowan salmon sequoia sparrow spruce stork summit swan thistle tiger tulip valley violet walnut willow
wren yew zebra
""".split()


def new_id() -> str:
    """Return the id of a new container."""
    return os.urandom(32).hex()


def is_id(text: str) -> bool:
    """Return whether *text* is a complete id. No other text may become a part of a path."""
    return _ID.fullmatch(text) is not None


def random_name() -> str:
    """Return a name for a container whose user has not chosen one."""
    from secrets import choice

    return f"{choice(_ADJECTIVES)}_{choice(_NOUNS)}"


def check_name(name: str) -> str:
    """Return *name* without a leading slash, which Docker permits. Raises RequestError when the name is invalid."""
    plain = name.removeprefix("/")
    if not _VALID.fullmatch(plain) or len(plain) > 255:
        raise RequestError(
            f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
            hint="begin with a letter or a digit, and use two characters or more",
        )
    return plain
