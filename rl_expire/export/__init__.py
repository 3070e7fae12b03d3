"""A policy's step as a graph of tensors, for runtimes without this package."""
