"""A process of one thread that is root of a user namespace and works on trees for a builder that is not."""
