"""Widgets that know nothing of Luthier."""
