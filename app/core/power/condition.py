"""The computer's condition: how full its battery is, and whether heat slows it down."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from app.core.language import tr

BATTERY_COMMAND = ("pmset", "-g", "batt")
HEAT_COMMAND = ("pmset", "-g", "therm")
POWER_SUPPLIES = Path("/sys/class/power_supply")
LOW_PERCENT = 20
_PERCENT = re.compile(r"(\d+)%")
_SPEED = re.compile(r"CPU_Speed_Limit\s*=\s*(\d+)")


@dataclass(frozen=True, slots=True)
class Condition:
    """``battery`` is its charge in percent, None of a computer that has none; ``is_draining`` while it gets less;
    ``speed`` the share of its speed in percent that heat leaves the processor, None where that is not told."""

    battery: int | None = None
    is_draining: bool = False
    speed: int | None = None

    def sentences(self) -> dict[str, str]:
        """What somebody should know whose run trains, by what it is of: ``battery``, ``heat``. Empty while all is
        well."""
        found = {}
        if self.battery is not None and self.is_draining and self.battery <= LOW_PERCENT:
            found["battery"] = tr(
                "The battery is at {battery}\u00a0%, and nothing charges it. Plug the computer in, or "
                "pause the run: where power ends, training goes on from the last saved state.",
                battery=self.battery,
            )
        if self.speed is not None and self.speed < 100:
            found["heat"] = tr(
                "The computer is hot, and works at {speed}\u00a0% of its speed until it has cooled down.",
                speed=self.speed,
            )
        return found


def mac_condition(battery: str, heat: str) -> Condition:
    """The condition by what ``pmset -g batt`` and ``pmset -g therm`` say."""
    percent, speed = _PERCENT.search(battery), _SPEED.search(heat)
    return Condition(
        battery=int(percent[1]) if percent else None,
        is_draining="discharging" in battery,
        speed=int(speed[1]) if speed else None,
    )


def linux_condition(folder: Path = POWER_SUPPLIES) -> Condition:
    """The condition by what the kernel says of its power supplies; heat is not told there in one figure."""
    for supply in sorted(folder.glob("*")) if folder.is_dir() else []:
        if _word(supply / "type") == "Battery" and _word(supply / "scope") != "Device":
            charge = _word(supply / "capacity")
            if charge.isdecimal():
                return Condition(int(charge), _word(supply / "status") == "Discharging")
    return Condition()


def _word(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
