"""Packages that some tests need beside Python. What is not installed is skipped, loudly; with FLAGSTORE_TESTS=all it is
installed by pip, into a virtual environment under target/, or the test fails."""
import importlib.util
import os
import subprocess
import sys
import unittest
import venv

import scripts

ROOT = os.path.dirname(os.path.dirname(scripts.HERE))
ENVIRONMENT = os.path.join(ROOT, "target", "python-tools")
PACKAGES = {"openfeature": "openfeature-sdk", "mypy": "mypy"}
ALL = os.environ.get("FLAGSTORE_TESTS") == "all"


def skip(why):
    """Where all tests are asked for it is a failure."""
    if ALL:
        raise AssertionError(why)
    print(f"SKIPPED: {why}", file=sys.stderr)
    raise unittest.SkipTest(why)


def python_with(*modules):
    """An interpreter that has these modules."""
    if all(importlib.util.find_spec(module) for module in modules):
        return sys.executable
    own = os.path.join(ENVIRONMENT, "bin", "python")
    if not _has(own, modules):
        if not ALL:
            skip("not installed: " + ", ".join(PACKAGES[module] for module in modules))
        venv.create(ENVIRONMENT, clear=True, with_pip=True)
        done = subprocess.run([own, "-m", "pip", "install", "-q", *PACKAGES.values()], capture_output=True, text=True,
                              check=False)
        if done.returncode != 0:
            skip(f"pip cannot install {', '.join(PACKAGES.values())}:\n{done.stderr}")
    return own


def _has(python, modules):
    command = [python, "-c", "import " + ", ".join(modules)]
    return os.path.exists(python) and subprocess.run(command, capture_output=True, check=False).returncode == 0
