"""``-f https://host/Dockerfile``: a Dockerfile from the web, fetched with the checks of any other remote source."""

from pathlib import Path

from pybuild.builder.cli.tools import store
from pybuild.builder.definition.load import LIMIT
from pybuild.builder.errors import RequestError, ResolveError
from pybuild.builder.oci.digest import Digest
from pybuild.builder.request import Execution
from pybuild.builder.request.step_settings import host_inputs
from pybuild.builder.sources.address import UNNAMED, HttpSource, parse
from pybuild.builder.sources.http import Fetching, ask
from pybuild.builder.store.free_space import in_temporary


def fetch_dockerfile(address: str, execution: Execution, directory: Path) -> Path:
    """Write the Dockerfile at *address* into *directory*, which is empty, and return its path.

    Raises:
        RequestError: the address is not that of a file.
        BuildError: it cannot be fetched, or is too long for a Dockerfile.
    """
    source = _source(address)
    opened = store()
    try:
        known = ask(source, host_inputs(execution), opened, Fetching())
        with opened.blobs.open(Digest.parse(known.digest)) as file:
            text = file.read(LIMIT + 1)
    finally:
        opened.close()
    if len(text) > LIMIT:
        raise RequestError(f"{address}: too long for a Dockerfile")
    path = directory / ("Dockerfile" if source.name == UNNAMED else source.name)
    with in_temporary():
        path.write_bytes(text)
    return path


def _source(address: str) -> HttpSource:
    try:
        source = parse(address)
    except ResolveError as error:
        raise RequestError(f"invalid --file: {error.message}", hint=error.hint) from error
    if not isinstance(source, HttpSource):
        raise RequestError(f"invalid --file: {address} is a git repository", hint="give it as the build context")
    return HttpSource(url=source.url, name=source.name, limit=LIMIT)
