"""Experiments on packages that HyperGen compiles, and the tables that they write."""
