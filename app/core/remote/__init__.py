"""Bundles trained on another machine: reached by the system's own ssh and rsync, followed without losing a byte."""
