"""Days and months in words, however the system itself calls them."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from app.ui.platform.own_texts import created_text, month_name, weekday_name

NOW = datetime(2026, 3, 12, 14, 3)


@pytest.mark.parametrize(
    ("created", "said"),
    [
        (datetime(2026, 3, 12, 0, 5), "Today 00:05"),
        (datetime(2026, 3, 11, 23, 59), "11 Mar 23:59"),
        (datetime(2025, 5, 17, 8, 0), "17 May 08:00"),  # 299 days ago
        (datetime(2025, 5, 15, 8, 0), "2025-05-15"),
        (datetime(2026, 3, 13, 9, 0), "13 Mar 09:00"),  # by a clock that went wrong
    ],
)
def test_when_something_was_made_is_told_as_far_as_it_matters(created: datetime, said: str) -> None:
    assert created_text(created.timestamp(), NOW.timestamp()) == said


def test_months_and_days_have_their_names() -> None:
    assert (month_name(date(2026, 11, 1)), month_name(date(2026, 11, 1), short=True)) == ("November", "Nov")
    assert [weekday_name(date(2026, 11, day)) for day in (29, 30)] == ["Sunday", "Monday"]
