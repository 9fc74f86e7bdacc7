"""Transfers between a store and one repository: documents and blobs, in both directions."""
