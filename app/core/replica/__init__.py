"""Replicas: processes that train one run together, here or on several machines: where they are, how they start."""
