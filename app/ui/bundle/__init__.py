"""Setups sealed for other machines: the dialog."""
