"""Why a test cannot run on this machine, with this engine, in this mode."""

from __future__ import annotations

import os
import shutil

from .build import has_library
from .description import Description
from .engines import has_feature
from .settings import Settings


def reason_to_skip(test: Description, settings: Settings) -> str:
    """In words; empty when the test can run."""
    needs = test.needs
    if (needs.root or test.user) and os.geteuid() != 0:
        return "it must be run by root"
    for mode in settings.modes:
        if mode not in test.modes:
            return f"it does not run in mode {mode}"
    for command in needs.commands:
        if not shutil.which(command):
            return f"there is no command {command}"
    for library in needs.libraries:
        if not has_library(library):
            return f"there is no library {library} to link with"
    for feature in needs.features:
        if not has_feature(settings.engine, feature):
            return f"{settings.engine.kind} check --feature {feature} says no"
    return ""
