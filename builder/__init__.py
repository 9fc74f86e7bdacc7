"""Everything that knows what an image is; `build` is the library entry."""
