"""The verbs for runs that train already, whoever started them."""
