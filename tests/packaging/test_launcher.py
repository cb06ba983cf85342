"""The launcher's files are what macOS and the Linux desktops expect; all of them can be made on either."""

import importlib.util
import os
import plistlib
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from PySide6.QtGui import QColor, QImage

from tests import ROOT

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def launcher() -> ModuleType:
    spec = importlib.util.spec_from_file_location("launcher", ROOT / "packaging" / "launcher.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def command(tmp_path: Path) -> tuple[Path, Path]:
    """Python and program of a checkout, in a folder whose name needs every kind of quoting."""
    folder = tmp_path / 'it\'s 100% "my" $HOME `luthier` back\\slash'
    (folder / "bin").mkdir(parents=True)
    (folder / "app").mkdir()
    python, main = folder / "bin" / "python", folder / "app" / "__main__.py"
    python.symlink_to(sys.executable)
    main.write_text(PROGRAM, encoding="utf-8")
    return python, main


# Says how it is tried and started, on stdout and, as Finder shows nothing, into a file.
PROGRAM = """
import os, pathlib, sys
pathlib.Path(os.environ["HOME"], "started").write_text(repr((sys.argv[1:], os.getcwd())))
"""


@pytest.fixture
def app(launcher: ModuleType, tmp_path: Path, command: tuple[Path, Path]) -> Path:
    made: Path = launcher.build_macos_app(tmp_path / "Applications", command)
    return made


def from_finder(app: Path, tmp_path: Path, *arguments: str) -> tuple[int, str]:
    """Starts the bundle as Finder does: in `/`, with few variables. Returns its status, and what an alert said."""
    home, tools = tmp_path / "home", tmp_path / "tools"
    home.mkdir(exist_ok=True)
    tools.mkdir(exist_ok=True)
    osascript = tools / "osascript"
    osascript.write_text(f'#!/bin/sh\nshift\nprintf "%s\\n" "$@" >"{tmp_path}/alert"\n', encoding="utf-8")
    osascript.chmod(0o755)
    environment = {"HOME": str(home), "PATH": f"{tools}:/usr/bin:/bin"}
    executable = app / "Contents" / "MacOS" / "Luthier"
    done = subprocess.run([executable, *arguments], cwd="/", env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("", "")
    told = tmp_path / "alert"
    return done.returncode, told.read_text(encoding="utf-8") if told.exists() else ""


def test_the_plist_names_an_app_with_its_documents(app: Path) -> None:
    plist = plistlib.loads((app / "Contents" / "Info.plist").read_bytes())
    assert plist["CFBundleExecutable"] == "Luthier"
    assert plist["CFBundleIdentifier"] == "org.luthier.Luthier"
    assert plist["LSMinimumSystemVersion"] == "14.0"
    assert plist["NSHighResolutionCapable"] is True
    assert (app / "Contents" / "Resources" / f"{plist['CFBundleIconFile']}.icns").is_file()
    kinds = {kind for entry in plist["CFBundleDocumentTypes"] for kind in entry["LSItemContentTypes"]}
    assert {"public.yaml", "public.json", "public.folder"} <= kinds
    assert {entry["LSHandlerRank"] for entry in plist["CFBundleDocumentTypes"]} == {"Alternate"}
    declared = {entry["UTTypeIdentifier"] for entry in plist["UTImportedTypeDeclarations"]}
    assert {kind for kind in kinds if kind.startswith("org.luthier.")} == declared


def test_the_executable_starts_the_checkouts_program_at_home_with_the_files(app: Path, tmp_path: Path) -> None:
    assert os.access(app / "Contents" / "MacOS" / "Luthier", os.X_OK)
    assert from_finder(app, tmp_path, "a b.yaml", "c") == (0, "")
    home = tmp_path / "home"
    assert (home / "started").read_text(encoding="utf-8") == repr((["a b.yaml", "c"], str(home)))
    assert (home / "Library" / "Logs" / "Luthier" / "start.log").read_text(encoding="utf-8") == ""


def test_a_python_that_has_gone_is_told_with_what_brings_it_back(
    app: Path, tmp_path: Path, command: tuple[Path, Path]
) -> None:
    command[0].unlink()
    command[0].symlink_to("/opt/homebrew/opt/python@3.13/bin/python3.13")
    status, told = from_finder(app, tmp_path)
    assert status == 1
    assert "after an update of Homebrew" in told
    assert f"In {command[1].parent.parent}, run: python3 packaging/dev.py setup" in told


def test_a_program_that_fails_is_told_with_the_end_of_its_log(
    app: Path, tmp_path: Path, command: tuple[Path, Path]
) -> None:
    command[1].write_text("import a_package_that_has_gone", encoding="utf-8")
    status, told = from_finder(app, tmp_path)
    assert status == 1
    assert told.splitlines()[0] == f"In {command[1].parent.parent}, run: python3 packaging/dev.py setup"
    assert "No module named 'a_package_that_has_gone'" in told


def test_a_folder_that_macos_keeps_is_told_with_the_setting(
    app: Path, tmp_path: Path, command: tuple[Path, Path]
) -> None:
    command[1].write_text("import os; raise PermissionError(1, os.strerror(1), __file__)", encoding="utf-8")
    _, told = from_finder(app, tmp_path)
    assert "System Settings › Privacy & Security › Files and Folders" in told


def test_a_checkout_that_has_gone_is_told(app: Path, tmp_path: Path, command: tuple[Path, Path]) -> None:
    shutil.rmtree(command[1].parent)
    _, told = from_finder(app, tmp_path)
    assert "has gone. Where it is now, run: python3 packaging/dev.py app" in told


def test_making_it_again_replaces_it_whole(launcher: ModuleType, app: Path, command: tuple[Path, Path]) -> None:
    (app / "Contents" / "old").touch()
    assert launcher.build_macos_app(app.parent, command) == app
    assert not (app / "Contents" / "old").exists()


def test_the_icon_container_holds_each_size_as_png(app: Path, launcher: ModuleType) -> None:
    data = (app / "Contents" / "Resources" / "Luthier.icns").read_bytes()
    magic, length = struct.unpack_from(">4sI", data)
    assert (magic, length) == (b"icns", len(data))
    found, offset = {}, 8
    while offset < len(data):
        kind, size = struct.unpack_from(">4sI", data, offset)
        png = data[offset + 8 : offset + size]
        assert png.startswith(PNG_MAGIC)
        image = QImage.fromData(png)
        assert image.width() == image.height()
        found[kind] = image.width()
        offset += size
    assert found == launcher.ICNS_SIZES_PX


def test_the_icon_is_bright_on_dark_and_round_at_every_size(launcher: ModuleType) -> None:
    for size_px in (16, 64, 512):
        image = QImage.fromData(launcher.render_png(size_px))
        assert image.pixelColor(0, 0).alpha() == 0, "outside the rounded square"
        centre = image.pixelColor(size_px // 2, size_px // 2)
        ground = image.pixelColor(size_px * 3 // 4, size_px // 4)
        assert centre.lightness() > ground.lightness() + 60


def test_the_shipped_png_is_the_svg(launcher: ModuleType) -> None:
    shipped = QImage(str(ROOT / "resources" / "icons" / "luthier.png"))
    drawn = QImage.fromData(launcher.render_png(256))
    assert shipped.size() == drawn.size()
    for x, y in [(0, 0), (128, 128), (64, 100), (190, 60), (176, 150)]:
        one, other = shipped.pixelColor(x, y), drawn.pixelColor(x, y)
        for part in (QColor.red, QColor.green, QColor.blue, QColor.alpha):
            assert abs(part(one) - part(other)) <= 8, (x, y, part)


@pytest.mark.qt_log_ignore("Cannot read file")
def test_an_icon_that_is_no_svg_is_refused(launcher: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "icon.svg").write_text("no picture", encoding="utf-8")
    with pytest.raises(ValueError, match="not an SVG"):
        launcher.render_png(16, tmp_path / "icon.svg")


def unquoted_exec(entry: str) -> list[str]:
    """Reads `Exec` back as the Desktop Entry specification says: string escapes, then quoting, then field codes."""
    value = next(line for line in entry.splitlines() if line.startswith("Exec=")).removeprefix("Exec=")
    match = re.fullmatch(r'"(.*)" "(.*)" (%\w)', value.replace("\\\\", "\\"))
    assert match is not None
    words = [re.sub(r'\\(["`$\\])', r"\1", match[number]).replace("%%", "%") for number in (1, 2)]
    return [*words, match[3]]


def test_the_desktop_entry_starts_the_checkouts_command(launcher: ModuleType, command: tuple[Path, Path]) -> None:
    assert unquoted_exec(launcher.desktop_entry(command)) == [*map(str, command), "%F"]


def test_the_desktop_entry_leaves_folders_to_the_file_manager(
    launcher: ModuleType, command: tuple[Path, Path]
) -> None:
    entry = launcher.desktop_entry(command)
    assert "application/yaml;" in entry
    assert "inode/directory" not in entry


@pytest.mark.skipif(not shutil.which("desktop-file-validate"), reason="desktop-file-utils is not installed")
def test_the_desktop_entry_is_valid(launcher: ModuleType, tmp_path: Path, command: tuple[Path, Path]) -> None:
    entry = launcher.install_desktop_entry(tmp_path / "share", command)
    result = subprocess.run(["desktop-file-validate", entry], capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, "")


def test_the_linux_launcher_lands_in_the_users_data_folder(tmp_path: Path) -> None:
    environment = os.environ | {"XDG_DATA_HOME": str(tmp_path)}
    arguments = [sys.executable, str(ROOT / "packaging" / "launcher.py"), "--platform", "linux"]
    result = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True)
    entry = tmp_path / "applications" / "luthier.desktop"
    assert result.stdout == f"Made {entry}\n"
    started = [str(ROOT / ".venv" / "bin" / "python"), str(ROOT / "app" / "__main__.py")]
    assert unquoted_exec(entry.read_text(encoding="utf-8"))[:2] == started
    icons = tmp_path / "icons" / "hicolor"
    assert (icons / "scalable" / "apps" / "luthier.svg").is_file()
    assert QImage(str(icons / "256x256" / "apps" / "luthier.png")).width() == 256


def test_a_relative_data_home_is_ignored(launcher: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "share")
    assert launcher.data_home() == Path.home() / ".local" / "share"
