"""Which modules of a model are trained."""
