"""Networks of containers: namespaces, and the programs that connect them."""
