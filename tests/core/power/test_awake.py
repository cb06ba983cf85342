"""The computer is kept awake at the right moments, by the right calls, and nothing is left behind."""

from __future__ import annotations

import ctypes
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.core.power import awake
from app.core.power.awake import (
    CORE_FOUNDATION,
    IOKIT,
    HelperProgram,
    MacAssertion,
    NobodyAwake,
    caffeinate,
    process_keeper,
    systemd_inhibit,
    window_keeper,
)
from app.core.power.condition import Condition, linux_condition, mac_condition
from tests import ROOT


class FakeCall:
    """A function of a library: keeps what it was called with."""

    def __init__(self, library: FakeMac, name: str) -> None:
        self._library, self._name = library, name

    def __call__(self, *arguments: Any) -> Any:
        return self._library.called(self._name, *arguments)


class FakeMac:
    """IOKit and CoreFoundation, as far as they are used."""

    def __init__(self, status: int = 0) -> None:
        self.status = status
        self.opened: list[str] = []
        self.texts: dict[int, bytes] = {}
        self.released: list[int] = []
        self.assertions: dict[int, tuple[bytes, int, bytes]] = {}

    def load(self, path: str) -> FakeMac:
        self.opened.append(path)
        return self

    def __getattr__(self, name: str) -> FakeCall:
        if not name.startswith(("CF", "IO")):
            raise AttributeError(name)
        call = FakeCall(self, name)
        setattr(self, name, call)
        return call

    def called(self, name: str, *given: Any) -> int | None:
        if name == "CFStringCreateWithCString":
            assert given[0] is None
            assert given[2] == 0x08000100
            self.texts[len(self.texts) + 1] = given[1]
            return len(self.texts)
        if name == "CFRelease":
            self.released.append(given[0])
        elif name == "IOPMAssertionCreateWithName":
            kind, level, why, number = given
            if not self.status:
                ctypes.cast(number, ctypes.POINTER(ctypes.c_uint32))[0] = 77
                self.assertions[77] = (self.texts[kind], level, self.texts[why])
            return self.status
        elif name == "IOPMAssertionRelease":
            del self.assertions[given[0].value]
        return None


def test_a_macs_window_holds_one_assertion_that_spares_the_display() -> None:
    mac = FakeMac()
    keeper = MacAssertion(mac.load)
    keeper.release()
    assert keeper.hold("A run trains")
    assert keeper.hold("again")
    assert mac.assertions == {77: (b"PreventUserIdleSystemSleep", 255, b"A run trains")}
    assert sorted(mac.released) == sorted(mac.texts)
    assert set(mac.opened) == {IOKIT, CORE_FOUNDATION}
    keeper.release()
    keeper.release()
    assert mac.assertions == {}


def test_an_assertion_that_is_refused_or_a_library_that_is_gone_is_no_error() -> None:
    assert not MacAssertion(FakeMac(status=-536870207).load).hold("why")

    def load(_path: str) -> object:
        raise OSError

    assert not MacAssertion(load).hold("why")


def test_each_system_has_its_way() -> None:
    assert isinstance(window_keeper("darwin"), MacAssertion)
    assert isinstance(process_keeper("darwin", lambda _: "/usr/bin/caffeinate"), HelperProgram)
    assert isinstance(window_keeper("linux", lambda _: "/usr/bin/systemd-inhibit"), HelperProgram)
    assert isinstance(window_keeper("linux", lambda _: None), NobodyAwake)
    assert isinstance(process_keeper("win32", lambda _: "there"), NobodyAwake)
    assert not NobodyAwake().hold("why")
    assert caffeinate("why") == ["caffeinate", "-i", "-w", str(os.getpid())]
    assert [word for word in systemd_inhibit("A run trains") if "what" in word or "why" in word] == [
        "--what=sleep", "--why=A run trains",
    ]  # fmt: skip


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ``systemd-inhibit`` that writes down its end."""
    program = tmp_path / "systemd-inhibit"
    program.write_text(f"#!/bin/sh\necho begun >>{tmp_path}/told\ncat\necho ended >>{tmp_path}/told\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path / "told"


# Holds, says so, and waits to be killed.
HOLDING = """
import sys
sys.path.insert(0, {root!r})
from app.core.power.awake import HelperProgram, systemd_inhibit
print(HelperProgram(systemd_inhibit).hold("why"), flush=True)
input()
"""


def test_a_helper_program_ends_with_who_started_it(helper: Path) -> None:
    code = HOLDING.format(root=str(ROOT))
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        while not (helper.exists() and "begun" in helper.read_text()):
            pass
        holder.kill()
    while "ended" not in helper.read_text():
        pass


@pytest.mark.usefixtures("helper")
def test_a_helper_program_is_told_any_name_in_any_locale() -> None:
    """As of a run: a locale without Unicode has no bytes for it."""
    code = HOLDING.format(root=str(ROOT)).replace("why", "\\u00e9 \\u00b7")
    ascii_alone = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code], input="\n", capture_output=True, text=True, env=os.environ | ascii_alone
    )
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr


def test_a_helper_program_ends_when_it_is_released(tmp_path: Path) -> None:
    keeper = HelperProgram(lambda _: ["cat"])
    assert keeper.hold("why")
    process = keeper._process
    assert process is not None
    assert keeper.hold("why")
    assert keeper._process is process
    keeper.release()
    assert process.returncode is not None
    keeper.release()
    assert not HelperProgram(lambda _: [str(tmp_path / "none")]).hold("why")


@pytest.mark.skipif(sys.platform != "linux", reason="looks into Linux's own files")
def test_a_helper_program_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(awake, "ENDING_S", 0.05)
    keeper = HelperProgram(lambda _: ["sh", "-c", "trap '' TERM; exec sleep 30"])
    assert keeper.hold("why")
    process = keeper._process
    assert process is not None
    while not _ignores_its_end(process.pid):
        pass
    keeper.release()
    assert process.returncode == -9


def _ignores_its_end(number: int) -> bool:
    """Whether a process has set SIGTERM aside already."""
    lines = Path(f"/proc/{number}/status").read_text().splitlines()
    ignored = next(line.split()[1] for line in lines if line.startswith("SigIgn"))
    return bool(int(ignored, 16) >> 14 & 1)


BATTERY = """Now drawing from 'Battery Power'
 -InternalBattery-0 (id=4653155)\t{percent}%; discharging; 3:12 remaining present: true
"""
HEAT = "Note: No thermal warning level has been recorded\n\tCPU_Available_CPUs = 8\n\tCPU_Speed_Limit \t= {speed}\n"


def test_a_low_battery_and_heat_are_told() -> None:
    assert mac_condition(BATTERY.format(percent=55), HEAT.format(speed=100)) == Condition(55, True, 100)
    assert Condition(55, True, 100).sentences() == {}
    low = mac_condition(BATTERY.format(percent=18), HEAT.format(speed=70)).sentences()
    assert low == {
        "battery": "The battery is at 18\u00a0%, and nothing charges it. Plug the computer in, or pause the run: "
        "where power ends, training goes on from the last saved state.",
        "heat": "The computer is hot, and works at 70\u00a0% of its speed until it has cooled down.",
    }
    for battery, speed, count in ((20, 100, 1), (21, 99, 1), (0, 0, 2), (21, 100, 0)):
        assert len(Condition(battery, True, speed).sentences()) == count
    charging = "Now drawing from 'AC Power'\n -InternalBattery-0\t18%; charging; 1:00 remaining present: true\n"
    assert mac_condition(charging, "").sentences() == {}
    assert mac_condition("Now drawing from 'AC Power'\n", "") == Condition()


def test_the_kernels_battery_is_read(tmp_path: Path) -> None:
    for name, values in {
        "AC": {"type": "Mains"},
        "hid-1": {"type": "Battery", "scope": "Device", "capacity": "5", "status": "Discharging"},
        "BAT0": {"type": "Battery", "capacity": "12", "status": "Discharging"},
    }.items():
        (tmp_path / name).mkdir()
        for key, value in values.items():
            (tmp_path / name / key).write_text(f"{value}\n")
    assert linux_condition(tmp_path) == Condition(12, True)
    (tmp_path / "BAT0" / "status").write_text("Charging\n")
    assert linux_condition(tmp_path) == Condition(12)
    (tmp_path / "BAT0" / "capacity").write_text("unknown\n")
    assert linux_condition(tmp_path) == Condition()
    assert linux_condition(tmp_path / "none") == Condition()
