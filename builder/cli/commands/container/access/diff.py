"""``diff``, ``export`` and ``commit`` of a container: the files that it wrote."""

from contextlib import suppress
from pathlib import Path

from pybuild.builder.cli.commands.container.common import opened_containers
from pybuild.builder.cli.tools import say
from pybuild.builder.containers.catalog import Containers, StoredContainer
from pybuild.builder.containers.config import Program
from pybuild.builder.containers.errors import ContainerError
from pybuild.builder.containers.files import changes, written_tree
from pybuild.builder.containers.lifecycle import pause, unpause
from pybuild.builder.containers.namespace import call_in_containers
from pybuild.builder.edit.documents import ImageDocuments
from pybuild.builder.edit.tree_layer import store_difference, with_difference
from pybuild.builder.oci.image import Image, read_image
from pybuild.builder.oci.layers.layer import Layer
from pybuild.builder.oci.model import ContainerConfig, ImageConfig
from pybuild.builder.outputs.files import destination, sink
from pybuild.builder.outputs.tar import write_trees
from pybuild.builder.outputs.tree import OutputTree
from pybuild.builder.request.values import Compression
from pybuild.builder.store.container_holds import read_hold
from pybuild.builder.store.store import Store
from pybuild.builder.store.worker_calls import SendEvent
from pybuild.runtime.errors import RuntimeHostError
from pybuild.runtime.values import replace


def show_changes(name: str) -> None:
    """Print the files that a container added, changed and deleted."""
    with opened_containers() as containers:
        for letter, path in changes(containers, containers.find(name)):
            say(f"{letter} {path}")


def export(name: str, output: Path | None) -> None:
    """Write the files of a container as an archive, without those of its volumes."""
    with opened_containers() as containers:
        call_in_containers(_export, containers.store, containers.find(name), output)


def _export(store: Store, _send_event: SendEvent, container: StoredContainer, output: Path | None) -> None:
    with written_tree(Containers(store), container) as tree, destination(output) as file:
        write_trees([OutputTree("", "", tree)], sink(file))


def image_of(containers: Containers, container: StoredContainer) -> Image:
    """Return the image that a container was made of."""
    return read_image(containers.store.blobs, read_hold(container.directory).image)


def commit_container(
    containers: Containers,
    container: StoredContainer,
    config: ImageConfig,
    entry: dict[str, str],
    *,
    compression: Compression,
    pauses: bool,
) -> Image:
    """Create an image of the files of a container, with *config*; with *pauses* it is paused meanwhile."""
    source = image_of(containers, container)
    stopped = False
    if pauses and container.state.status == "running":
        # A container without a control group cannot be paused. It is read while it runs, as with --no-pause.
        with suppress(ContainerError, RuntimeHostError):
            pause(container)
            stopped = True
    try:
        with containers.store.in_use():
            documents = ImageDocuments.read(containers.store.blobs, source).with_config(source.config, config)
            layer = call_in_containers(_layer, containers.store, container, source, compression)
            words = " ".join(container.config.program.args)
            made = with_difference(documents, layer, {**entry, "created_by": words})
            return made.write(containers.store.blobs, source)
    finally:
        if stopped:
            unpause(container)


def _layer(
    store: Store, _send_event: SendEvent, container: StoredContainer, source: Image, compression: Compression
) -> Layer | None:
    with store.in_use(), written_tree(Containers(store), container) as tree:
        return store_difference(store, source, tree, compression)


def config_of(program: Program, config: ImageConfig) -> ImageConfig:
    """Return *config* with the settings of *program*, so that containers of the image have the same settings."""
    own: ContainerConfig = replace(
        config.config,
        user=program.user,
        env=program.env,
        entrypoint=program.entrypoint,
        cmd=program.cmd,
        working_dir=program.working_dir,
        labels=program.labels,
        exposed_ports=program.exposed_ports,
        volumes=program.volumes,
        stop_signal=program.stop_signal,
        healthcheck=program.healthcheck,
    )
    return replace(config, config=own)
