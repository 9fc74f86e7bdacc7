"""From stages to a plan: the graph of vertices, and plans that are remembered."""
