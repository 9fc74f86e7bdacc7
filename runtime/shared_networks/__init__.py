"""The network that all containers of a user share: a network namespace that lives as long as one of them."""
