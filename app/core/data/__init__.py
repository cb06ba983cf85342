"""Rows recognised, checked, converted, split and written."""
