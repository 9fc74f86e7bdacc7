"""What a target needs, in an order in which every input comes first. The only import of networkx."""

from collections.abc import Mapping

import networkx as nx


def needed_in_order(inputs: Mapping[str, tuple[str, ...]], target: str) -> list[str]:
    """Return *target* and its ancestors in a stable topological order: that of *inputs* where the graph leaves it free.

    *inputs* names the vertices that each vertex has an edge from.
    """
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(inputs)
    graph.add_edges_from((source, vertex) for vertex, sources in inputs.items() for source in sources)
    needed = graph.subgraph(nx.ancestors(graph, target) | {target})
    numbers = {vertex: number for number, vertex in enumerate(inputs)}
    return list(nx.lexicographical_topological_sort(needed, key=numbers.__getitem__))
