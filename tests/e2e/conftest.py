"""What the end-to-end tests borrow from the others: the tiny model, and drag and drop."""

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path += [str(TESTS / "worker"), str(TESTS / "ui")]
