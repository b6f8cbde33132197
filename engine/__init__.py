"""Tocsin's engine: what happens to an audit event, from the cloud's API to the person on call."""

__version__ = "0.1.0"
