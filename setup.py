"""Builds what is not Python before a wheel is put together; everything else stands in pyproject.toml."""

from __future__ import annotations

import subprocess
import sys

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py


class Build(build_py):
    """`make setup` builds in place; a wheel needs the products before its files are collected."""

    def run(self) -> None:
        if not self.editable_mode:
            for module in ("engine.images.build", "native.build"):
                subprocess.run([sys.executable, "-m", module], check=True)
        super().run()


class Native(Distribution):
    """The wheel is for one platform and one Python."""

    def has_ext_modules(self) -> bool:
        """The extension is built by native.build, so setuptools cannot know."""
        return True


setup(cmdclass={"build_py": Build}, distclass=Native)
