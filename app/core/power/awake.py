"""Keeps the computer awake while it works; never its display, whose drawing competes with the training for the GPU.

A lid that is closed puts a computer to sleep all the same. Nothing is left behind: the system drops an assertion
with its process, and the helper programs end with the process that they are told of, however that ends.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from app.core.language import tr

IOKIT = "/System/Library/Frameworks/IOKit.framework/IOKit"
CORE_FOUNDATION = "/System/Library/Frameworks/CoreFoundation.framework/CoreFoundation"
ASSERTION = "PreventUserIdleSystemSleep"  # the display may sleep
LEVEL_ON, UTF8 = 255, 0x08000100  # kIOPMAssertionLevelOn, kCFStringEncodingUTF8
ENDING_S = 5
LID = tr("A closed lid still puts it to sleep.")


class AwakeKeeper(Protocol):
    """Holds the computer awake from `hold` to `release`; both may be called twice."""

    def hold(self, reason: str) -> bool:
        """Keeps it awake; ``reason`` is what the system shows. False where that cannot be done."""

    def release(self) -> None:
        """Lets it sleep again."""


class NobodyAwake:
    """For systems that have no way."""

    def hold(self, reason: str) -> bool:
        """Nothing."""
        return not reason

    def release(self) -> None:
        """Nothing."""


class MacAssertion:
    """An assertion of this process, as `pmset -g assertions` lists it; App Nap leaves such a process alone.

    ``load`` opens a library by its path (tests give their own).
    """

    def __init__(self, load: Callable[[str], Any] = ctypes.CDLL) -> None:
        self._load = load
        self._number: ctypes.c_uint32 | None = None

    def hold(self, reason: str) -> bool:
        """Makes the assertion."""
        if self._number is not None:
            return True
        try:
            power, foundation = self._load(IOKIT), self._load(CORE_FOUNDATION)
        except OSError:
            return False
        foundation.CFStringCreateWithCString.restype = ctypes.c_void_p
        foundation.CFStringCreateWithCString.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint32]
        foundation.CFRelease.argtypes = [ctypes.c_void_p]
        power.IOPMAssertionCreateWithName.restype = ctypes.c_int
        power.IOPMAssertionCreateWithName.argtypes = [
            ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint32),
        ]  # fmt: skip
        kind = foundation.CFStringCreateWithCString(None, ASSERTION.encode(), UTF8)
        name = foundation.CFStringCreateWithCString(None, reason.encode(), UTF8)
        number = ctypes.c_uint32(0)
        failed = power.IOPMAssertionCreateWithName(kind, LEVEL_ON, name, ctypes.byref(number))
        for text in (kind, name):
            foundation.CFRelease(text)
        if failed:
            return False
        self._number = number
        return True

    def release(self) -> None:
        """Takes it back."""
        if self._number is not None:
            power, number = self._load(IOKIT), self._number
            self._number = None
            power.IOPMAssertionRelease.argtypes = [ctypes.c_uint32]
            power.IOPMAssertionRelease(number)


class HelperProgram:
    """A program of the system that keeps it awake as long as it lives: it ends with this process, or at `release`.

    ``command`` makes its command line of the reason; its input is a pipe of this process, which breaks with it.
    """

    def __init__(self, command: Callable[[str], list[str]]) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def hold(self, reason: str) -> bool:
        """Starts it."""
        if self._process is not None and self._process.poll() is None:
            return True
        self.release()
        try:
            self._process = subprocess.Popen(
                # Not by the locale: one without Unicode has no bytes for the name of a run.
                [word.encode("utf-8", "surrogateescape") for word in self._command(reason)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            return False
        return True

    def release(self) -> None:
        """Ends it."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        process.terminate()
        try:
            process.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def caffeinate(_reason: str) -> list[str]:
    """macOS: against idle sleep of the system only (``-i``), until this process has ended."""
    return ["caffeinate", "-i", "-w", str(os.getpid())]


def systemd_inhibit(reason: str) -> list[str]:
    """Linux with systemd: no suspend while ``cat`` waits for the end of its input. Idleness, by which displays are
    switched off, is left alone, and so is the switch of the lid."""
    return ["systemd-inhibit", "--what=sleep", "--mode=block", "--who=Luthier", f"--why={reason}", "cat"]


def window_keeper(platform: str = sys.platform, which: Callable[[str], str | None] = shutil.which) -> AwakeKeeper:
    """What keeps the computer awake for a window."""
    return MacAssertion() if platform == "darwin" else process_keeper(platform, which)


def process_keeper(platform: str = sys.platform, which: Callable[[str], str | None] = shutil.which) -> AwakeKeeper:
    """What keeps it awake for a process without a window: a program that ends with it."""
    if platform == "darwin" and which("caffeinate"):
        return HelperProgram(caffeinate)
    if platform == "linux" and which("systemd-inhibit"):
        return HelperProgram(systemd_inhibit)
    return NobodyAwake()
