"""Makes the hash locks of the bundle's torch environment again (needs uv): `python packaging/bundle_lock.py`.

For every system at once: on Linux with an NVIDIA card torch brings CUDA, as its default index has it. Only names,
versions and hashes are in the files.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from tempfile import TemporaryDirectory

from app.core.bundle.script import FOUR_BIT, FOUR_BIT_LOCK, LOCK, REQUIREMENTS
from app.core.resource import resource


def main() -> int:
    uv = shutil.which("uv")
    if uv is None:
        print("Locking needs uv: get it with `pip install uv` or your package manager.")
        return 1
    command = [uv, "pip", "compile", "-", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes"]
    command += ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
    for name, wanted in ((LOCK, REQUIREMENTS), (FOUR_BIT_LOCK, REQUIREMENTS | FOUR_BIT)):
        pinned = "".join(f"{package}=={version}\n" for package, version in wanted.items())
        # Elsewhere than in the checkout, whose settings of uv name the systems that Luthier itself runs on.
        with TemporaryDirectory() as elsewhere:
            words = [*command, "-o", str(resource("bundle") / name)]
            made = subprocess.run(words, input=pinned, text=True, check=False, cwd=elsewhere)
        if made.returncode:
            return made.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
