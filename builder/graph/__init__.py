"""From stages to a plan: the graph of vertices, and the plan that an earlier build left behind."""
