"""Tests: the folders mirror those of app."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
