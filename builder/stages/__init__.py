"""From a Dockerfile to stages with every name, variable and base settled."""
