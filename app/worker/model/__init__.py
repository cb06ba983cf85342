"""A model built, loaded, inspected, converted; its adapters."""
