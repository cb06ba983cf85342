"""The reading of files where a person has a say: encoding, sheet of a workbook, whose words are the answers."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.config.train_config import TrainConfig


@dataclass(frozen=True, slots=True)
class FileReading:
    """What is chosen by hand; empty where the file itself decides."""

    sheet: str = ""
    answers_by: str = ""
    encoding: str = ""

    @classmethod
    def of(cls, config: TrainConfig) -> FileReading:
        """What a config says."""
        return cls(config.sheet, config.answers_by, config.encoding)


BY_CONTENT = FileReading()
