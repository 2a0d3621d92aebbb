"""Verification: every entry point of an emitted package against the model itself, before it is published."""
