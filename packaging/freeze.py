"""The frozen app: Luthier with its own Python, which needs no checkout and no network.

On macOS it makes `dist/Luthier.app` and, around it, a disk image; on Linux `dist/luthier/` and an archive of it
with a desktop entry. `dev.py freeze` runs this file with the environment's Python; PyInstaller makes the folder, by
`packaging/frozen/luthier.spec`, and asks this file what goes in. With these variables the macOS app is signed and
notarized; without them it is signed for the machine that made it only:

    LUTHIER_SIGN_IDENTITY      the name of a "Developer ID Application" certificate in the keychain
    LUTHIER_NOTARY_PROFILE     a profile that `xcrun notarytool store-credentials` has made, or these three:
    LUTHIER_NOTARY_KEY, LUTHIER_NOTARY_KEY_ID, LUTHIER_NOTARY_ISSUER   file, number and issuer of an App Store key
"""

import argparse
import importlib.util
import os
import pkgutil
import platform
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import time
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "packaging")]

from app.core.system.licence import LICENCE_FOLDER, distributions_inside
from launcher import ICON, icns, render_png, version

FROZEN = ROOT / "packaging" / "frozen"
ENTITLEMENTS = FROZEN / "entitlements.plist"
WORK = ROOT / "build" / "freeze"
DIST = ROOT / "dist"
ICNS = WORK / "Luthier.icns"
IS_MAC = sys.platform == "darwin"
NOTARY_VARIABLES = {
    "--key": "LUTHIER_NOTARY_KEY", "--key-id": "LUTHIER_NOTARY_KEY_ID", "--issuer": "LUTHIER_NOTARY_ISSUER",
}  # fmt: skip
PROGRAM = "Luthier" if IS_MAC else "luthier"

# Never part of it, also where the environment has them: tools, other frameworks, what nobody can reach.
EXCLUDED = (
    "torch", "tensorflow", "jax", "flax", "scipy", "pandas", "matplotlib", "IPython", "sympy", "datasets", "peft",
    "trl", "accelerate", "lm_eval", "xllamacpp", "openai", "pytest", "_pytest", "hypothesis", "mypy", "setuptools",
    "pip", "tkinter", "_tkinter", "PyQt5", "PyQt6", "PySide2", "PyInstaller", "OpenGL",
    "pyarrow.flight", "pyarrow._flight", "pyarrow._s3fs", "pyarrow._gcsfs", "pyarrow._azurefs", "pyarrow.tests",
    "mlx_lm.models.olmo",  # calls exit() at import
)  # fmt: skip
# Modules of the standard library that no reward file needs, and that bring much or do something when imported.
_NO_LIBRARY = {"_tkinter", "antigravity", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "test", "this",
               "tkinter", "turtle", "turtledemo", "venv"}  # fmt: skip
# Files that no part of Luthier uses; of Qt's own texts those in Luthier's languages are.
_WASTE = (
    "PySide6/Qt/translations/", "PySide6/Qt/qml/", "PySide6/Qt/plugins/qmltooling/", "PySide6/Qt/lib/libQt6Quick",
    "PySide6/Qt/lib/libQt6Qml", "PySide6/Qt/lib/libQt6VirtualKeyboard", "PySide6/Qt/lib/QtQuick",
    "PySide6/Qt/lib/QtQml", "PySide6/Qt/lib/QtVirtualKeyboard",
    "PySide6/Qt/plugins/platforminputcontexts/libqtvirtual", "mlx/include/", "mlx/share/", "mlx/lib/libmlx.a",
    "pyarrow/include/", "pyarrow/src/", "pyarrow/tests/", "pyarrow/libarrow_flight", "pyarrow/libarrow_s3",
    "pyarrow/libarrow_python_flight", "libarrow_flight", "libarrow_s3", "libarrow_python_flight",
    "PySide6/Qt/plugins/platformthemes/libqgtk3", "libcudart",
    # The theme's libraries: with them gone Qt asks the desktop's portal for its panels, where there is one.
    "libgtk-3", "libgdk", "libatk", "libatspi", "libcairo", "libpango", "libepoxy", "libthai", "libdatrie",
    "libfribidi", "libgraphite2", "libharfbuzz", "libpixman", "libXcomposite", "libXcursor", "libXdamage", "libXft",
    "libXi.", "libXinerama", "libXrandr", "libXss", "libtcl", "libtk",
    # The system has them, newer ones mostly, which its drivers and what its compiler makes need.
    "libstdc++", "libgcc_s",
)  # fmt: skip


# --- what goes in, as the spec asks -------------------------------------------------------------------------------


def hidden_imports() -> list[str]:
    """Modules that are imported by a name that PyInstaller cannot see, and what reward files may import."""
    from PyInstaller.utils.hooks import collect_submodules

    found = collect_submodules("app") + collect_submodules("mlx")
    found += [name for name in _modules_of("mlx_lm") if name not in EXCLUDED]
    return sorted({*found, *_standard_library()})


def _modules_of(package: str) -> list[str]:
    """All modules below a package, found without importing them."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        raise SystemExit(f"freeze: {package} is not installed in {sys.prefix}.")
    found, waiting = [package], [(package, list(spec.submodule_search_locations))]
    while waiting:
        name, places = waiting.pop()
        for module in pkgutil.iter_modules(places, f"{name}."):
            found.append(module.name)
            if module.ispkg:
                folder = module.name.rpartition(".")[2]
                waiting.append((module.name, [str(Path(place) / folder) for place in places]))
    return found


def _standard_library() -> list[str]:
    """A reward file is Python that its owner wrote: all that Python itself brings must be there for it."""
    found = []
    for name in sorted(sys.stdlib_module_names - _NO_LIBRARY):
        spec = None if name.startswith("__") else importlib.util.find_spec(name)
        if spec is None:
            continue
        found += _modules_of(name) if spec.submodule_search_locations else [name]
    return [name for name in found if not _NO_LIBRARY & set(name.split("."))]


def data_files() -> list[tuple[str, str]]:
    """Files beside the code: (where it is, the folder that it goes to)."""
    from PyInstaller.utils.hooks import collect_data_files, copy_metadata

    found = [(str(ROOT / "resources"), "resources")]
    # Bundles take this file along as text.
    found.append((str(ROOT / "app" / "core" / "method" / "reward.py"), "app/core/method"))
    for package in ("qtawesome", "mlx_lm"):
        found += collect_data_files(package)
    for name in distributions_inside():
        found += copy_metadata(name)
    python = Path(sysconfig.get_path("stdlib")) / "LICENSE.txt"
    if not python.exists():
        raise SystemExit(f"freeze: Python's own licence is not in {python}.")
    loader = metadata.distribution("pyinstaller")
    (text,) = (file for file in loader.files or () if file.name == "COPYING.txt")
    texts = {
        f"Python {platform.python_version()}": python,
        f"PyInstaller {loader.version}": Path(str(loader.locate_file(text))),
    }
    for name, source in texts.items():
        shutil.copyfile(source, WORK / f"{name}.txt")
        found.append((str(WORK / f"{name}.txt"), LICENCE_FOLDER))
    return found


Toc = list[tuple[str, str, str]]  # PyInstaller's: the name in the bundle, the file, its kind


def _is_spoken(name: str) -> bool:
    """Whether a file holds Qt's own texts in a language of `resources/language`."""
    spoken = {path.stem for path in (ROOT / "resources" / "language").glob("*.po")}
    return Path(name).name in {f"qtbase_{language}.qm" for language in spoken}


def without_waste(files: Toc) -> Toc:
    """The same list without what no part of Luthier uses."""
    return [
        entry for entry in files if not entry[0].replace(os.sep, "/").startswith(_WASTE) or _is_spoken(entry[0])
    ]


def metal_links(files: Toc) -> Toc:
    """Links at the bundle's root to MLX's Metal libraries: `libmlx` is found there too, and looks beside itself."""
    libraries = [name for name, _, _ in files if name.endswith(".metallib") and "/" in name]
    return [(Path(name).name, name, "SYMLINK") for name in libraries]


SYSTEM_PREFIXES = ("/usr", "/usr/local")  # a Python of the system lies among all its other libraries


def system_licences(binaries: Toc) -> Toc:
    """The licences of the libraries that come from the system (Debian's packages), a file for each package."""
    if IS_MAC or shutil.which("dpkg-query") is None:
        return []
    own = tuple(str(Path(one).resolve()) for one in (sys.prefix, sys.executable, sysconfig.get_path("stdlib"),
                *(one for one in (sys.base_prefix,) if one not in SYSTEM_PREFIXES)))  # fmt: skip
    found: dict[str, Path] = {}
    for _, source, _ in binaries:
        file = Path(source).resolve()
        if str(file).startswith(own) or not source:
            continue
        # Files of merged /usr are known to dpkg by the name that their package has for them.
        for name in (str(file), str(file).removeprefix("/usr")):
            asked = subprocess.run(["dpkg-query", "-S", name], capture_output=True, text=True, check=False)
            if asked.returncode == 0:
                package = asked.stdout.split(":")[0]
                text = Path("/usr/share/doc") / package / "copyright"
                if text.exists():
                    found[package] = text
                break
    return [(f"{LICENCE_FOLDER}/{package}.txt", str(text), "DATA") for package, text in sorted(found.items())]


def identity() -> str | None:
    """The certificate that signs; None signs for this machine only."""
    return os.environ.get("LUTHIER_SIGN_IDENTITY") or None


# --- macOS: notarized, in a disk image ----------------------------------------------------------------------------


def notary_words(environment: Mapping[str, str] = os.environ) -> list[str]:
    """What tells `notarytool` who asks; empty where no credentials are given. Half of them is refused."""
    if profile := environment.get("LUTHIER_NOTARY_PROFILE"):
        return ["--keychain-profile", profile]
    given = {option: environment.get(name, "") for option, name in NOTARY_VARIABLES.items()}
    if not any(given.values()):
        return []
    if missing := [NOTARY_VARIABLES[option] for option, value in given.items() if not value]:
        raise SystemExit(f"freeze: {' and '.join(missing)} must be set as well: notarizing needs all three.")
    return [word for pair in given.items() for word in pair]


def notary_commands(product: Path, words: list[str]) -> list[list[str]]:
    """Apple's look at a disk image, and its ticket fastened to it."""
    submit = ["xcrun", "notarytool", "submit", str(product), "--wait", *words]
    return [submit, ["xcrun", "stapler", "staple", str(product)], ["xcrun", "stapler", "validate", str(product)]]


def image_command(app: Path, image: Path) -> list[str]:
    """dmgbuild's command line."""
    settings = ["-s", str(FROZEN / "dmgbuild.settings"), "-D", f"app={app}", "-D", f"icon={ICNS}"]
    return [sys.executable, "-m", "dmgbuild", *settings, "Luthier", str(image)]


def macos_commands(app: Path, image: Path, signs: str | None, words: list[str]) -> list[list[str]]:
    """All that is done with the bundle that PyInstaller made (and signed, from the inside out)."""
    if words and not signs:
        raise SystemExit("freeze: LUTHIER_SIGN_IDENTITY must be set as well: Apple notarizes only what is signed.")
    commands = [["codesign", "--verify", "--deep", "--strict", str(app)], image_command(app, image)]
    if signs:
        commands.append(["codesign", "--sign", signs, "--timestamp", str(image)])
    return commands + (notary_commands(image, words) if words else [])


# --- Linux: an archive --------------------------------------------------------------------------------------------


def add_desktop_files(folder: Path) -> None:
    """Puts a desktop entry, icons and the script that installs them beside the program."""
    from launcher import desktop_entry

    share = folder / "share"
    icons = share / "icons" / "hicolor"
    files = {
        share / "luthier.desktop": desktop_entry((Path("luthier"),)).encode(),
        icons / "scalable" / "apps" / "luthier.svg": ICON.read_bytes(),
        **{icons / f"{side}x{side}" / "apps" / "luthier.png": render_png(side) for side in (48, 128, 256)},
        folder / "install.sh": (FROZEN / "install.sh").read_bytes(),
        folder / "LICENSE": (ROOT / "LICENSE").read_bytes(),
    }
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / "install.sh").chmod(0o755)


def archive(folder: Path, file: Path) -> None:
    """Packs the folder under the archive's own name; nobody's user number is in it."""

    def anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = "root"
        return member

    with tarfile.open(file, "w:gz", compresslevel=6) as packed:
        packed.add(folder, file.name.removesuffix(".tar.gz"), filter=anonymous)


# --- the verb -----------------------------------------------------------------------------------------------------


def megabytes(paths: Iterable[Path]) -> float:
    """The size of files and folders, links not followed."""
    files = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path])]
    return sum(file.lstat().st_size for file in files if not file.is_dir() or file.is_symlink()) / 1e6


def run(command: list[str]) -> None:
    """Runs a step; its failure ends all."""
    print("freeze:", *command[:4], "…", flush=True)
    if code := subprocess.call(command, cwd=ROOT):
        raise SystemExit(f"freeze: `{' '.join(command[:4])} …` failed with exit code {code}.")


def main() -> int:
    parser = argparse.ArgumentParser(prog="dev.py freeze", description="Make the app that needs no checkout.")
    parser.add_argument("--no-archive", action="store_true", help="only the app, without disk image or archive")
    arguments = parser.parse_args()
    words = notary_words()
    started = time.monotonic()
    for old in (DIST / PROGRAM, DIST / "Luthier.app"):
        shutil.rmtree(old, ignore_errors=True)
    WORK.mkdir(parents=True, exist_ok=True)
    ICNS.write_bytes(icns())
    spec = [str(FROZEN / "luthier.spec"), "--noconfirm", "--distpath", str(DIST), "--workpath", str(WORK)]
    run([sys.executable, "-m", "PyInstaller", "--log-level", "WARN", *spec])
    label = f"{version()}-{'macos' if IS_MAC else 'linux'}-{platform.machine()}"
    made = DIST / ("Luthier.app" if IS_MAC else PROGRAM)
    product = DIST / (f"Luthier-{label}.dmg" if IS_MAC else f"luthier-{label}.tar.gz")
    product.unlink(missing_ok=True)
    if IS_MAC:
        shutil.rmtree(DIST / PROGRAM, ignore_errors=True)  # the bundle has all of it
        commands = macos_commands(made, product, identity(), words)
        for command in commands[:1] if arguments.no_archive else commands:
            run(command)
    else:
        add_desktop_files(made)
        if not arguments.no_archive:
            archive(made, product)
    print(f"Made {made} ({megabytes([made]):.0f} MB)")
    if product.exists():
        print(f"Made {product} ({megabytes([product]):.0f} MB)")
    print(f"It took {time.monotonic() - started:.0f} s. Test it: {_executable(made)} --selftest")
    return 0


def _executable(made: Path) -> Path:
    return made / "Contents" / "MacOS" / PROGRAM if IS_MAC else made / PROGRAM


if __name__ == "__main__":
    sys.exit(main())
