"""A thin driver of CMake: what is built and how stands in CMakeLists.txt."""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, __version__, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent.resolve()


def find_tool(name: str) -> str | None:
    """The tool of this environment before one of the system: `pip install cmake` has to win."""
    return shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)


def check_environment() -> None:
    """Ends with one sentence where the build cannot succeed.

    It runs before setuptools does anything, so pip stops before it fetches any dependency.
    """
    if importlib.util.find_spec("torch") is None:
        sys.exit(
            "freqops: the build uses the torch you already have, which an isolated build does not "
            "see; install torch >= 2.10, then run: pip install 'setuptools>=77' pybind11 cmake "
            "ninja && pip install --no-build-isolation ."
        )
    if int(__version__.split(".")[0]) < 77:  # older ones reject pyproject.toml, at length
        sys.exit(
            f"freqops: the build needs setuptools >= 77, found {__version__}; "
            "run: pip install -U setuptools"
        )
    missing = [name for name in ("cmake", "ninja") if find_tool(name) is None]
    if importlib.util.find_spec("pybind11") is None:
        missing.append("pybind11")
    if missing:
        sys.exit(
            f"freqops: the build needs {', '.join(missing)}; run: pip install {' '.join(missing)}"
        )


class CMakeBuild(build_ext):
    """Builds every library of the package with one CMake run."""

    def run(self) -> None:
        # An editable install shares build/ with the Makefile; a wheel gets a folder of its own, so
        # that its output folder never ends up in the developer's build.
        if self.inplace or self.editable_mode:
            binary, output = ROOT / "build", ROOT / "freqops"
        else:
            binary = ROOT / "build" / f"wheel-{sysconfig.get_config_var('SOABI')}"
            output = Path(self.build_lib).resolve() / "freqops"
        cmake, ninja = find_tool("cmake"), find_tool("ninja")
        configure = [cmake, "-S", ROOT, "-B", binary, "-G", "Ninja"]
        configure += [f"-DCMAKE_MAKE_PROGRAM={ninja}", f"-DPython_EXECUTABLE={sys.executable}"]
        configure += [f"-DFREQOPS_OUTPUT_DIR={output}"]
        # CMake's cache would keep an answer of an earlier run: the environment of this run decides.
        configure += [
            f"-D{name}={os.environ.get(name, '')}"
            for name in ("FREQOPS_CUDA", "FREQOPS_CUDA_ARCHS")
        ]
        for command in (configure, [cmake, "--build", binary]):
            status = subprocess.run([str(part) for part in command]).returncode
            if status:
                sys.exit(
                    f"freqops: the build failed (cmake ended with {status}); see its message above"
                )

    def get_outputs(self) -> list[str]:
        return []

    def get_output_mapping(self) -> dict[str, str]:
        return {}


check_environment()
setup(ext_modules=[Extension("freqops._C", sources=[])], cmdclass={"build_ext": CMakeBuild})
