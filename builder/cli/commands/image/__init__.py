"""Commands about images of the store, one module each."""
