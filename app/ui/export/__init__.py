"""Exporting: a dialog over formats, their options, the work, and the certificate."""
