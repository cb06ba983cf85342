"""What the frozen app is made with: all that can be seen without making it, for both systems on either."""

from __future__ import annotations

import ast
import importlib.util
import os
import plistlib
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from tests import ROOT

FROZEN = ROOT / "packaging" / "frozen"
FOLDERS = ("Documents", "Desktop", "Downloads")


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "packaging" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def freeze() -> ModuleType:
    path = list(sys.path)
    try:
        return _module("freeze")
    finally:
        sys.path[:] = path


# --- what goes in -------------------------------------------------------------------------------------------------


def test_modules_are_found_without_importing_them(freeze: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "bad" / "inner").mkdir(parents=True)
    for name in ("__init__", "ends", "inner/__init__", "inner/deep"):
        (tmp_path / "bad" / f"{name}.py").write_text("raise SystemExit" if name == "ends" else "")
    sys.path.insert(0, str(tmp_path))
    try:
        assert sorted(freeze._modules_of("bad")) == ["bad", "bad.ends", "bad.inner", "bad.inner.deep"]
    finally:
        sys.path.remove(str(tmp_path))


def test_every_module_of_mlx_lm_is_in_but_the_one_that_ends_the_program(freeze: ModuleType) -> None:
    found = set(freeze._modules_of("mlx_lm"))
    spec = importlib.util.find_spec("mlx_lm")
    assert spec is not None
    folder = Path(str(spec.origin)).parent
    files = {path.stem for path in (folder / "models").glob("*.py")} - {"__init__"}
    assert {name.removeprefix("mlx_lm.models.") for name in found if name.count(".") == 2} >= files
    assert "mlx_lm.models.olmo" in found
    assert "mlx_lm.models.olmo" in freeze.EXCLUDED


def test_reward_files_find_the_standard_library(freeze: ModuleType) -> None:
    found = set(freeze._standard_library())
    assert {"statistics", "difflib", "xml.etree.ElementTree", "fractions", "sqlite3", "decimal"} <= found
    assert not {"tkinter", "idlelib", "antigravity", "test"} & found


def test_what_no_part_uses_stays_out(freeze: ModuleType) -> None:
    entry = ("PySide6/Qt/plugins/platforms/libqoffscreen.so", "/x", "BINARY")
    waste = [("PySide6/Qt/translations/qt_de.qm", "/x", "DATA"), ("mlx/include/mlx/array.h", "/x", "DATA")]
    assert freeze.without_waste([waste[0], entry, waste[1]]) == [entry]


def test_metal_libraries_are_linked_where_libmlx_is_found(freeze: ModuleType) -> None:
    files = [("mlx/lib/mlx.metallib", "/x", "DATA"), ("mlx/lib/libmlx.dylib", "/x", "BINARY")]
    assert freeze.metal_links(files) == [("mlx.metallib", "mlx/lib/mlx.metallib", "SYMLINK")]


@pytest.mark.skipif(not shutil.which("dpkg-query"), reason="Debian's packages have their licences in one place")
def test_a_library_of_the_system_brings_its_licence(freeze: ModuleType) -> None:
    shell = Path("/bin/sh").resolve()
    found = freeze.system_licences([("sh", str(shell), "BINARY"), ("own", sys.executable, "BINARY")])
    ((name, text, kind),) = found
    assert (name, kind) == (f"licences/{shell.name}.txt", "DATA")
    assert "opyright" in Path(text).read_text(encoding="utf-8", errors="replace")


def test_the_spec_asks_for_what_there_is(freeze: ModuleType) -> None:
    tree = ast.parse((FROZEN / "luthier.spec").read_text(encoding="utf-8"))
    asked = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "freeze"
    }
    assert {"data_files", "hidden_imports", "EXCLUDED", "identity", "ENTITLEMENTS"} <= asked
    assert {name for name in asked if not hasattr(freeze, name)} == set()


# --- macOS --------------------------------------------------------------------------------------------------------


def test_the_frozen_plist_asks_for_folders_in_words() -> None:
    launcher = _module("launcher")
    plist = plistlib.loads(plistlib.dumps(launcher.frozen_plist()))
    usage = {key for key in plist if key.endswith("UsageDescription")}
    assert usage == {
        *(f"NS{name}FolderUsageDescription" for name in FOLDERS),
        "NSRemovableVolumesUsageDescription",
        "NSNetworkVolumesUsageDescription",
    }
    assert all(plist[key].startswith("Luthier opens ") and plist[key].endswith(".") for key in usage)
    assert {"CFBundleDocumentTypes", "UTImportedTypeDeclarations", "CFBundleName"} <= set(plist)
    assert "LSArchitecturePriority" not in plist
    assert plist["LSMinimumSystemVersion"] == "14.0"
    assert set(plist) - usage < set(launcher.info_plist())


def test_the_entitlements_are_those_of_a_python_app() -> None:
    entitlements = plistlib.loads((FROZEN / "entitlements.plist").read_bytes())
    assert entitlements == {
        "com.apple.security.cs.allow-unsigned-executable-memory": True,
        "com.apple.security.automation.apple-events": True,
    }


def test_the_disk_image_shows_the_app_beside_applications() -> None:
    settings = FROZEN / "dmgbuild.settings"
    found: dict[str, Any] = {"defines": {"app": "/d/Luthier.app", "icon": "/d/Luthier.icns"}}
    exec(compile(settings.read_text(encoding="utf-8"), str(settings), "exec"), found)
    assert found["files"] == ["/d/Luthier.app"]
    assert found["symlinks"] == {"Applications": "/Applications"}
    assert set(found["icon_locations"]) == {"Luthier.app", "Applications"}
    (_, (width, height)) = found["window_rect"]
    for x, y in found["icon_locations"].values():
        assert found["icon_size"] / 2 < x < width - found["icon_size"] / 2
        assert found["icon_size"] / 2 < y < height - found["icon_size"] / 2


APP, IMAGE = Path("/d/Luthier.app"), Path("/d/Luthier.dmg")
KEY = {"LUTHIER_NOTARY_KEY": "k.p8", "LUTHIER_NOTARY_KEY_ID": "ID", "LUTHIER_NOTARY_ISSUER": "issuer"}


def test_without_credentials_the_image_is_made_and_nothing_is_sent_away(freeze: ModuleType) -> None:
    verify, image = freeze.macos_commands(APP, IMAGE, None, freeze.notary_words({}))
    assert verify == ["codesign", "--verify", "--deep", "--strict", "/d/Luthier.app"]
    assert image[1:3] == ["-m", "dmgbuild"]
    assert image[-2:] == ["Luthier", "/d/Luthier.dmg"]
    assert "app=/d/Luthier.app" in image


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"LUTHIER_NOTARY_PROFILE": "mine"} | KEY, ["--keychain-profile", "mine"]),
        (KEY, ["--key", "k.p8", "--key-id", "ID", "--issuer", "issuer"]),
    ],
)
def test_with_credentials_it_is_signed_notarized_and_stapled(
    freeze: ModuleType, environment: dict[str, str], words: list[str]
) -> None:
    commands = freeze.macos_commands(APP, IMAGE, "Developer ID Application: A", freeze.notary_words(environment))
    _, _, sign, submit, staple, validate = commands
    assert sign == ["codesign", "--sign", "Developer ID Application: A", "--timestamp", "/d/Luthier.dmg"]
    assert submit == ["xcrun", "notarytool", "submit", "/d/Luthier.dmg", "--wait", *words]
    assert staple == ["xcrun", "stapler", "staple", "/d/Luthier.dmg"]
    assert validate[2] == "validate"


def test_half_of_the_credentials_is_refused(freeze: ModuleType) -> None:
    with pytest.raises(SystemExit, match="LUTHIER_NOTARY_KEY_ID and LUTHIER_NOTARY_ISSUER must be set as well"):
        freeze.notary_words({"LUTHIER_NOTARY_KEY": "k.p8"})
    with pytest.raises(SystemExit, match="LUTHIER_SIGN_IDENTITY must be set as well"):
        freeze.macos_commands(APP, IMAGE, None, ["--keychain-profile", "mine"])


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A process that looks frozen, in this bundle."""
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "_MEIPASS", str(tmp_path), raising=False)
    return tmp_path


def start() -> dict[str, Any]:
    return runpy.run_path(str(FROZEN / "start.py"))


@pytest.mark.parametrize(("before", "after"), [("/opt/lib", "/opt/lib"), (None, None)])
def test_programs_that_the_app_starts_find_the_systems_libraries(
    frozen: Path, monkeypatch: pytest.MonkeyPatch, before: str | None, after: str | None
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(frozen))
    monkeypatch.setenv("_PYI_APPLICATION_HOME_DIR", str(frozen))
    if before is not None:
        monkeypatch.setenv("LD_LIBRARY_PATH_ORIG", before)
    start()
    assert "_PYI_APPLICATION_HOME_DIR" not in os.environ
    assert os.environ.get("LD_LIBRARY_PATH") == after
    assert "LD_LIBRARY_PATH_ORIG" not in os.environ


def test_on_a_mac_a_worker_loads_mlx_from_beside_its_metal_library_and_the_window_does_not(
    frozen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    library = frozen / "mlx" / "lib" / "libmlx.dylib"
    library.parent.mkdir(parents=True)
    library.write_text("no library")
    monkeypatch.setattr(sys, "argv", ["Luthier"])
    start()
    monkeypatch.setattr(sys, "argv", ["Luthier", "--worker", "job"])
    with pytest.raises(OSError, match=r"libmlx\.dylib"):
        start()


# --- Linux --------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(freeze: ModuleType, tmp_path: Path) -> Path:
    """What PyInstaller made, in a path with a blank, with the desktop's files."""
    made = tmp_path / "my apps" / "luthier"
    made.mkdir(parents=True)
    program = made / "luthier"
    program.write_text('#!/bin/sh\necho "<$@>"\n', encoding="utf-8")
    program.chmod(0o755)
    freeze.add_desktop_files(made)
    return made


def install(folder: Path, home: Path, *arguments: str) -> str:
    home.mkdir(exist_ok=True)
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([folder / "install.sh", *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_archive_installs_an_entry_icons_and_a_command_and_takes_them_away(
    freeze: ModuleType, folder: Path, tmp_path: Path
) -> None:
    packed = tmp_path / "luthier-1-linux-x86_64.tar.gz"
    freeze.archive(folder, packed)
    with tarfile.open(packed) as archive:
        members = archive.getmembers()
    (tmp_path / "a & b").mkdir()
    subprocess.run(["tar", "-xf", packed, "-C", tmp_path / "a & b"], check=True)
    assert {member.name.split("/")[0] for member in members} == {"luthier-1-linux-x86_64"}
    assert {(member.uid, member.uname) for member in members} == {(0, "root")}
    there, home = tmp_path / "a & b" / "luthier-1-linux-x86_64", tmp_path / "home"
    install(there, home)
    entry = (home / ".local/share/applications/luthier.desktop").read_text(encoding="utf-8")
    assert f'\nExec="{there}/luthier" %F\n' in entry
    assert "\nIcon=luthier\n" in entry
    assert (home / ".local/share/icons/hicolor/128x128/apps/luthier.png").is_file()
    assert (home / ".local/share/icons/hicolor/scalable/apps/luthier.svg").is_file()
    command = home / ".local/bin/luthier"
    assert subprocess.run([command, "x"], capture_output=True, text=True, check=True).stdout == "<x>\n"
    install(there, home, "--remove")
    assert [path for path in home.rglob("*") if not path.is_dir()] == []


def test_the_licence_is_beside_the_program(folder: Path) -> None:
    assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


# --- the workflow -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def workflow() -> dict[str, Any]:
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    tree: dict[str, Any] = yaml.load(text, Loader=yaml.BaseLoader)  # BaseLoader: `on` is a word and not a truth
    return tree


def step_of(workflow: dict[str, Any], name: str) -> dict[str, Any]:
    """The freezing job's step whose name begins so."""
    (step,) = (step for step in workflow["jobs"]["freeze"]["steps"] if step.get("name", "").startswith(name))
    return dict(step)


def test_the_workflow_freezes_tests_and_attaches_on_both_systems(workflow: dict[str, Any]) -> None:
    assert workflow["on"]["push"]["tags"] == ["v*"]
    freezing, release = workflow["jobs"]["freeze"], workflow["jobs"]["release"]
    systems = freezing["strategy"]["matrix"]["include"]
    assert [one["system"].split("-")[0] for one in systems] == ["macos", "ubuntu"]
    lines = [step.get("run", "") for step in freezing["steps"]]
    made = lines.index("python3 packaging/dev.py freeze")
    tested = next(number for number, line in enumerate(lines) if "--selftest selftest.json" in line)
    assert made < tested
    uploaded = next(step for step in freezing["steps"] if "upload-artifact" in step.get("uses", ""))
    assert {"dist/*.dmg", "dist/*.tar.gz"} < set(uploaded["with"]["path"].split())
    assert release["needs"] == "freeze"
    assert release["if"] == "startsWith(github.ref, 'refs/tags/v')"
    assert "gh release upload" in release["steps"][-1]["run"]


def test_the_workflow_may_write_only_where_it_attaches(workflow: dict[str, Any]) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["jobs"]["release"]["permissions"] == {"contents": "write"}
    assert "permissions" not in workflow["jobs"]["freeze"]


def test_the_workflow_gives_the_variables_that_freezing_reads(workflow: dict[str, Any], freeze: ModuleType) -> None:
    signing = step_of(workflow, "Certificate")
    for name in ("LUTHIER_SIGN_IDENTITY", *freeze.NOTARY_VARIABLES.values()):
        assert f"{name}=" in signing["run"]


def test_the_workflow_installs_what_dev_py_would(workflow: dict[str, Any]) -> None:
    path = list(sys.path)
    sys.path.insert(0, str(ROOT / "packaging"))
    try:
        dev = _module("dev")
    finally:
        sys.path[:] = path
    libraries = step_of(workflow, "Libraries")
    wanted = [*dev.QT_PACKAGES, *dev.WINDOW_PACKAGES, "libopenblas0", "g++"]
    assert libraries["run"].partition("install -y ")[2].split() == wanted


def test_the_workflows_scripts_are_shell(workflow: dict[str, Any]) -> None:
    scripts = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    whole = "\n".join(f"part_{number}() {{\n{text}\n}}" for number, text in enumerate(scripts))
    done = subprocess.run(["bash", "-n"], input=whole.replace("${{", "$((").replace("}}", "))"), text=True)
    assert (len(scripts), done.returncode) == (6, 0)


def test_the_scripts_of_the_archive_are_shell() -> None:
    assert subprocess.run(["sh", "-n", FROZEN / "install.sh"]).returncode == 0


def test_the_report_of_the_first_mac_has_a_line_for_each_step() -> None:
    page = (ROOT / "docs" / "first-mac.md").read_text(encoding="utf-8")
    steps = re.findall(r"^\| (\d+[a-z]) \| \S", page, re.MULTILINE)
    form = (ROOT / ".github" / "ISSUE_TEMPLATE" / "first-mac.md").read_text(encoding="utf-8")
    assert len(steps) == len(set(steps)) > 25
    assert re.findall(r"^- (\d+[a-z]) · ", form, re.MULTILINE) == steps
