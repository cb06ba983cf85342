"""Places where bundles train: what each needs and costs, and how it is asked. Add a place here."""
