"""Several machines that train one run: the dialog over their hostfile, its check, and the start on them."""
