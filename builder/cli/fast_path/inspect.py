"""``pybuild inspect`` of containers without click: as JSON, or by a template."""

from collections.abc import Iterable, Sequence
from typing import Any

from pybuild.builder.cli.fast_path.common import KnownFlags, found_container, read
from pybuild.builder.cli.format.listing import inspected
from pybuild.builder.cli.tools import say
from pybuild.builder.containers.document import container_document

_KNOWN = KnownFlags(ones={"-f": "format", "--format": "format", "--type": "type"}, interspersed=True)


def command(words: Sequence[str]) -> int | None:
    """Carry out ``inspect`` with *words* and return the exit code; None, and nothing is done, when click must.

    That is also the case for a name that is not that of a container, and for a template with a mistake.
    """
    given = read(words, _KNOWN)
    if given is None or not given.words or given.one("type") not in {None, "container"}:
        return None
    found = [found_container(name) for name in given.words]
    containers = [each for each in found if each is not None]
    if len(containers) < len(found):
        return None
    documents = [container_document(each) for each in containers]
    template = given.one("format")
    texts = inspected(documents, template) if template in {None, "json"} else _rendered(str(template), documents)
    if texts is None:
        return None
    for text in texts:
        say(text)
    return 0


def _rendered(template: str, documents: Iterable[dict[str, Any]]) -> list[str] | None:
    """Return the output of *template* for each document; None when it has a mistake."""
    from pybuild.builder.cli.format.template import Template
    from pybuild.builder.cli.format.template_text import TemplateError

    try:
        asked = Template(template)
        return [asked.render(in_template(document)) for document in documents]
    except TemplateError:
        return None


def in_template(document: dict[str, Any]) -> object:
    """Return *document*, of a container or of an image, as templates see it: with zeros for what is missing."""
    from pybuild.builder.cli.format.template_functions import NO_LIST, NO_MAP, NO_POINTER, Loose, Typed
    from pybuild.builder.oci.image_config import CONFIG_MEMBERS

    zeros = {"text": "", "list": NO_LIST, "map": NO_MAP, "flag": False, "pointer": NO_POINTER}
    config = document.get("Config", {})
    maps = (name for name, kind in CONFIG_MEMBERS.items() if kind == "map")
    loose = {name: Loose(config[name]) for name in maps if config.get(name) is not None}
    members = {name: zeros[kind] for name, kind in CONFIG_MEMBERS.items()}
    state = {"State": Typed(document["State"], {"Health": NO_POINTER})} if "State" in document else {}
    return Typed({**document, **state, "Config": Typed({**config, **loose}, members)}, {"Variant": "", "OsVersion": ""})
