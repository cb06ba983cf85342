"""Data sets: read from almost any file, checked line by line, converted to mlx-lm's forms, split and written."""

from app.core.dataset.report import DataReport, report_json

__all__ = ["DataReport", "report_json"]
