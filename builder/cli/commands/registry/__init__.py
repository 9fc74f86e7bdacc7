"""Commands that talk to registries, one module each."""
