"""Bundles written: tokens and labels, targets by their names elsewhere, and the script that trains them."""
