"""Which version of a package is installed, as the package says of itself."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError

import pydantic
import pytest
import yaml

from app.core.system.package import package_version


def test_the_version_is_the_packages_own() -> None:
    assert package_version("pydantic") == pydantic.VERSION
    assert package_version("PyYAML") == yaml.__version__
    assert package_version("pydantic") == pydantic.VERSION, "asked a second time"


def test_a_package_that_is_not_there_has_no_version() -> None:
    with pytest.raises(PackageNotFoundError):
        package_version("luthier-of-nobody")
