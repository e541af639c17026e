"""Descriptors: the tables they stand in, and one module for each kind of file they lead to."""
