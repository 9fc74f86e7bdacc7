"""Planning: stages become a graph of vertices, or an earlier plan is used again."""
