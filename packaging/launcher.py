"""The double-clickable launcher of a checkout: `Luthier.app` on macOS, a desktop entry on Linux.

It starts the checkout's own `app/__main__.py` by the Python of its `.venv`, so it follows every edit and every
pull; the bundle that needs no checkout is another thing. `dev.py app` runs this file with the environment's Python.
"""

import argparse
import os
import plistlib
import shlex
import shutil
import struct
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QBuffer, QIODevice
from PySide6.QtGui import QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

ROOT = Path(__file__).resolve().parent.parent
# By the file, never through the `.pth` of an editable install: see `write_command` of dev.py.
COMMAND = (ROOT / ".venv" / "bin" / "python", ROOT / "app" / "__main__.py")
ICON = ROOT / "resources" / "icons" / "luthier.svg"

# Apple's icon container: the type of each PNG chunk -> its side in pixels ("@2x" types repeat a size).
ICNS_SIZES_PX = {
    b"ic07": 128,
    b"ic08": 256,
    b"ic09": 512,
    b"ic10": 1024,
    b"ic11": 32,
    b"ic12": 64,
    b"ic13": 256,
    b"ic14": 512,
}
LSREGISTER = Path(
    "/System/Library/Frameworks/CoreServices.framework/Frameworks/LaunchServices.framework/Support/lsregister"
)
SCRIPT_KEYS = ("LSArchitecturePriority",)
# Why macOS asks before the app may read there; said in the question. Without its key a place is refused unasked.
USAGE = {
    "NSDocumentsFolderUsageDescription": "Luthier opens the models, data and configs that you choose in Documents.",
    "NSDesktopFolderUsageDescription": "Luthier opens the models, data and configs that you choose on the Desktop.",
    "NSDownloadsFolderUsageDescription": "Luthier opens the models and data that you choose in Downloads.",
    "NSRemovableVolumesUsageDescription": "Luthier opens the models and data that you choose on this drive.",
    "NSNetworkVolumesUsageDescription": "Luthier opens the models and data that you choose on this network drive.",
}
# No inode/directory: desktops without a default would open every folder in Luthier.
MIME_TYPES = (
    "application/yaml",
    "application/x-yaml",
    "application/json",
    "application/x-ndjson",
    "text/csv",
    "application/vnd.apache.parquet",
)


def version() -> str:
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


# --- the icon -----------------------------------------------------------------------------------------------------


def render_png(size_px: int, svg: Path = ICON) -> bytes:
    """Returns the icon as a square PNG of `size_px`; ValueError when the SVG cannot be read."""
    renderer = QSvgRenderer(str(svg))
    if not renderer.isValid():
        raise ValueError(f"{svg}: not an SVG that Qt can draw")
    image = QImage(size_px, size_px, QImage.Format.Format_ARGB32)
    image.fill(0)
    painter = QPainter(image)
    renderer.render(painter)
    painter.end()
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")  # type: ignore[call-overload]  # the stub wants bytes, the binding text
    return bytes(buffer.data().data())


def icns(png: Callable[[int], bytes] = render_png) -> bytes:
    """Returns Apple's icon container: the magic, the total length, then chunks of type, length and PNG."""
    chunks = [(kind, png(size_px)) for kind, size_px in ICNS_SIZES_PX.items()]
    body = b"".join(kind + struct.pack(">I", 8 + len(data)) + data for kind, data in chunks)
    return b"icns" + struct.pack(">I", 8 + len(body)) + body


# --- macOS --------------------------------------------------------------------------------------------------------


def document_type(name: str, kinds: list[str], role: str) -> dict[str, object]:
    """Alternate: Luthier is offered under *Open With*, and takes no file type from the program that has it."""
    return {
        "CFBundleTypeName": name,
        "CFBundleTypeRole": role,
        "LSHandlerRank": "Alternate",
        "LSItemContentTypes": kinds,
    }


def imported_type(kind: str, description: str, parent: str, extensions: list[str]) -> dict[str, object]:
    """A file type that macOS does not know by itself."""
    return {
        "UTTypeIdentifier": kind,
        "UTTypeDescription": description,
        "UTTypeConformsTo": [parent],
        "UTTypeTagSpecification": {"public.filename-extension": extensions},
    }


def info_plist() -> dict[str, object]:
    data = ["org.luthier.jsonl", "public.json", "public.comma-separated-values-text", "org.luthier.parquet"]
    return {
        "CFBundleIdentifier": "org.luthier.Luthier",
        "CFBundleName": "Luthier",
        "CFBundleDisplayName": "Luthier",
        "CFBundleExecutable": "Luthier",
        "CFBundleIconFile": "Luthier",
        "CFBundlePackageType": "APPL",
        "CFBundleInfoDictionaryVersion": "6.0",
        "CFBundleShortVersionString": version(),
        "CFBundleVersion": version(),
        "LSMinimumSystemVersion": "14.0",
        "LSApplicationCategoryType": "public.app-category.developer-tools",
        # The executable is a script, which has no architecture: without these macOS may ask for Rosetta.
        "LSArchitecturePriority": ["arm64"],
        "LSRequiresNativeExecution": True,
        "NSHighResolutionCapable": True,
        **USAGE,
        "NSSupportsAutomaticGraphicsSwitching": True,
        "CFBundleDocumentTypes": [
            document_type("Training configuration", ["public.yaml"], "Editor"),
            document_type("Training data", data, "Viewer"),
            document_type("Model folder", ["public.folder"], "Viewer"),
        ],
        "UTImportedTypeDeclarations": [
            imported_type("org.luthier.jsonl", "JSON Lines", "public.text", ["jsonl", "ndjson"]),
            imported_type("org.luthier.parquet", "Parquet table", "public.data", ["parquet"]),
        ],
    }


def frozen_plist() -> dict[str, object]:
    """That of the app that needs no checkout: its executable is a program, so it needs nothing said of scripts."""
    return {key: value for key, value in info_plist().items() if key not in SCRIPT_KEYS}


STUB = r"""#!/bin/sh
# Finder starts this in / and shows nothing of what it says: what goes wrong is told in an alert.
python=@python@
main=@main@
checkout=@checkout@
log="$HOME/Library/Logs/Luthier/start.log"
mkdir -p "${log%/*}" 2>/dev/null && : >"$log" || log=/dev/null
cd "$HOME" || cd /

# Tries the program without its window: the interpreter, and `import app`.
"$python" "$main" --version >>"$log" 2>&1 && exec "$python" "$main" "$@" >>"$log" 2>&1

said=$(tail -n 12 "$log")
case $said in
*"Operation not permitted"* | *"Permission denied"*)
    remedy="macOS keeps the folder $checkout from Luthier. Allow it in System Settings › Privacy & Security › \
Files and Folders (for Luthier or Python), or move the checkout out of Documents, Desktop and Downloads." ;;
*)
    if [ ! -e "$main" ]; then
        remedy="The checkout $checkout has gone. Where it is now, run: python3 packaging/dev.py app"
    elif [ ! -x "$python" ]; then
        remedy="The Python with which this checkout was set up has gone, after an update of Homebrew for example. \
In $checkout, run: python3 packaging/dev.py setup"
    else
        remedy="In $checkout, run: python3 packaging/dev.py setup"
    fi ;;
esac
osascript - "$remedy" "$said" <<'SCRIPT'
on run arguments
    set reason to (item 1 of arguments) & return & return & (item 2 of arguments)
    display alert "Luthier cannot start" message reason as critical
end run
SCRIPT
exit 1
"""


def stub(python: Path, main: Path) -> str:
    """The app's executable: starts the checkout's program, or says in an alert why it cannot, and what to do."""
    text = STUB.replace("@checkout@", shlex.quote(str(main.parent.parent)))
    return text.replace("@python@", shlex.quote(str(python))).replace("@main@", shlex.quote(str(main)))


def build_macos_app(folder: Path, command: tuple[Path, Path] = COMMAND) -> Path:
    """Writes `folder/Luthier.app`, in place of an older one, and returns its path."""
    app = folder / "Luthier.app"
    if app.exists():
        shutil.rmtree(app)
    contents = app / "Contents"
    (contents / "MacOS").mkdir(parents=True)
    (contents / "Resources").mkdir()
    (contents / "Info.plist").write_bytes(plistlib.dumps(info_plist()))
    (contents / "PkgInfo").write_text("APPL????", encoding="ascii")
    (contents / "Resources" / "Luthier.icns").write_bytes(icns())
    executable = contents / "MacOS" / "Luthier"
    executable.write_text(stub(*command), encoding="utf-8")
    executable.chmod(0o755)
    return app


# --- Linux --------------------------------------------------------------------------------------------------------


def desktop_quoted(argument: str) -> str:
    """Quotes one argument of `Exec`: first as an argument, then as a desktop entry's string (Desktop Entry 1.5)."""
    for character in '\\"`$':
        argument = argument.replace(character, "\\" + character)
    return '"' + argument.replace("\\", "\\\\").replace("%", "%%") + '"'


def desktop_entry(command: tuple[Path, ...] = COMMAND) -> str:
    return f"""[Desktop Entry]
Type=Application
Name=Luthier
GenericName=Model fine-tuning
Comment=Fine-tune language models on your own machine
Exec={" ".join(desktop_quoted(str(word)) for word in command)} %F
Icon=luthier
Terminal=false
Categories=Development;
Keywords=LoRA;MLX;language model;training;
MimeType={";".join(MIME_TYPES)};
StartupNotify=true
StartupWMClass=luthier
"""


def install_desktop_entry(data_home: Path, command: tuple[Path, ...] = COMMAND) -> Path:
    """Writes the desktop entry and its icons under `data_home` and returns the entry's path."""
    entry = data_home / "applications" / "luthier.desktop"
    icons = data_home / "icons" / "hicolor"
    files = {
        entry: desktop_entry(command).encode(),
        icons / "scalable" / "apps" / "luthier.svg": ICON.read_bytes(),
        **{icons / f"{side}x{side}" / "apps" / "luthier.png": render_png(side) for side in (48, 128, 256)},
    }
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return entry


def data_home() -> Path:
    """The user's XDG data folder; a relative XDG_DATA_HOME is to be ignored, says the specification."""
    named = Path(os.environ.get("XDG_DATA_HOME", ""))
    return named if named.is_absolute() else Path.home() / ".local" / "share"


# --- the verb -----------------------------------------------------------------------------------------------------


def announce(*commands: list[str]) -> None:
    """Tells the desktop at once about the new launcher, where the desktop has a tool for that."""
    for command in commands:
        if shutil.which(command[0]):
            subprocess.run(command, check=False, capture_output=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="dev.py app", description="Make a double-clickable launcher.")
    parser.add_argument("--install", action="store_true", help="macOS: into ~/Applications instead of dist/")
    parser.add_argument("--platform", choices=("darwin", "linux"), default=sys.platform, help="make that system's")
    arguments = parser.parse_args()
    if arguments.platform == "darwin":
        made = build_macos_app(Path.home() / "Applications" if arguments.install else ROOT / "dist")
        announce([str(LSREGISTER), "-f", str(made)])
    else:
        made = install_desktop_entry(data_home())
        announce(["update-desktop-database", str(made.parent)])
    print(f"Made {made}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
