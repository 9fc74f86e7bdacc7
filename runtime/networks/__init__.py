"""Networks of containers: network namespaces, and the programs that connect them."""
