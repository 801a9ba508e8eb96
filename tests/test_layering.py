"""What each layer may name, read off the sources (the table is in CONTRIBUTING's tree of files).

The rules are data; one scan of `import`s (ast) and one of `#include`s (regex) apply them.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "freqops"
CSRC = ROOT / "csrc"

# --- Python -------------------------------------------------------------------------------------


class Import(NamedTuple):
    module: str  # absolute: freqops.ops.fft_filter
    name: str | None  # what was taken from it


def imports(path: Path) -> Iterator[Import]:
    """Every import of a file, wherever in it, relative ones resolved."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(parts[: -node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            yield from (Import(module, alias.name) for alias in node.names)


def reaches(found: Import, target: str) -> bool:
    """Whether an import names `target` or something inside it."""
    full = f"{found.module}.{found.name}" if found.name else found.module
    return any(name == target or name.startswith(f"{target}.") for name in (found.module, full))


class Layer(NamedTuple):
    files: str  # glob inside freqops/
    forbidden: tuple[str, ...]
    why: str


EVALUATION = "freqops.evaluation"
PEERS = ("scipy", "ducc0", "kornia", "timm", "torchvision", "antialiased_cnns", "fft_conv_pytorch")
LAYERS = [
    Layer(
        "ops/*.py",
        ("freqops.surgery", EVALUATION, "freqops.cli", "freqops.plots", "freqops.reference"),
        "an op stands below everything that uses it, and its specification must not be its code",
    ),
    Layer(
        "filters.py",
        ("freqops.ops", "freqops.surgery", EVALUATION, "freqops.cli", "freqops.reference"),
        "responses are pure functions",
    ),
    Layer(
        "reference.py",
        ("freqops.ops", "freqops.explain", EVALUATION, "freqops.cli", "freqops._C"),
        "the specification may not call what it specifies",
    ),
    Layer("evaluation/**/*.py", ("freqops.cli", "matplotlib"), "records first, figures elsewhere"),
    Layer("surgery/**/*.py", ("freqops.cli", "matplotlib"), "as evaluation"),
    Layer(
        "bench/**/*.py",
        ("freqops.cli", "freqops.ops", "freqops.plots", "matplotlib", *PEERS),
        "what is timed is what users call, beside peers that need not be there",
    ),
    Layer(
        "plots/*.py", ("freqops.cli", "freqops.ops"), "records become figures, nothing is computed"
    ),
    Layer("cli/*.py", ("matplotlib", "numpy", "freqops.ops", "freqops.reference"), "no arithmetic"),
]
PYTHON_FILES = sorted(PACKAGE.rglob("*.py"))


def test_scan_sees_the_package() -> None:
    """A glob that matches nothing would make every rule below pass."""
    for layer in LAYERS:
        assert list(PACKAGE.glob(layer.files)), layer.files
    ops = PACKAGE / "ops" / "fft_filter.py"
    assert any(reaches(found, "torch") for found in imports(ops))


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.files)
def test_python_layer(layer: Layer) -> None:
    broken = [
        f"{path.relative_to(ROOT)} imports {found.module} {found.name or ''}: {layer.why}"
        for path in PACKAGE.glob(layer.files)
        for found in imports(path)
        if any(reaches(found, target) for target in layer.forbidden)
    ]
    assert not broken


@pytest.mark.parametrize("path", PYTHON_FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_plots_imports_matplotlib(path: Path) -> None:
    if path.parent != PACKAGE / "plots":
        assert not [found for found in imports(path) if reaches(found, "matplotlib")]


@pytest.mark.parametrize("path", PYTHON_FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_private_names_stay_at_home(path: Path) -> None:
    """A name with an underscore belongs to its file; a module with one to its folder's package."""
    for found in imports(path):
        if not found.module.startswith("freqops") or found.name is None:
            continue
        module_file = PACKAGE.parent.joinpath(*found.module.split("."))
        is_module = any(
            (module_file / f"{found.name}{suffix}").exists() for suffix in ("", ".py", ".pyi")
        )
        private = found.name.startswith("_") and not found.name.startswith("__")
        assert is_module or not private, f"{path.name} takes {found.name} from {found.module}"


@pytest.mark.parametrize("path", PYTHON_FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_compiled_ops_are_called_from_ops_only(path: Path) -> None:
    """torch.ops.freqops has no argument checks; everybody else calls the public functions."""
    layer = path.relative_to(PACKAGE).parts[0]
    if layer not in ("ops", "explain.py", "_libraries.py"):
        code = ast.unparse(ast.parse(path.read_text()))
        assert "torch.ops.freqops" not in code


# --- C++ and CUDA -------------------------------------------------------------------------------

STANDARD = re.compile(r"[a-z_]+(\.h)?|sys/mman\.h")  # <vector>, <stdint.h>; huge pages
CUDA_RUNTIME = re.compile(r"cuda\w*\.h(pp)?|(cooperative_groups|cuda)(/\w+)*(\.h)?")
STABLE_TORCH = re.compile(
    r"torch/(csrc/stable|headeronly)/[\w/]+\.h|torch/csrc/inductor/aoti_torch/c/\w+\.h"
)
PYBIND = re.compile(r"pybind11/\w+\.h")
SUFFIXES = {".cpp", ".h", ".cu", ".cuh"}


def sources(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES)


def includes(path: Path) -> Iterator[tuple[str, bool]]:
    """(name, in quotes) of each include."""
    for bracket, name in re.findall(r'(?m)^\s*#\s*include\s*([<"])([^>"]+)[>"]', path.read_text()):
        yield name, bracket == '"'


def without_comments_and_strings(path: Path) -> str:
    pattern = r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\])*\""
    return re.sub(pattern, "", path.read_text(), flags=re.DOTALL)


def check_includes(path: Path, home: tuple[Path, ...], *allowed: re.Pattern[str]) -> None:
    for name, quoted in includes(path):
        if quoted:
            target = next(
                (file for file in (path.parent / name, CSRC / name) if file.exists()), None
            )
            assert target is not None, f"{path} includes {name}, which is not there"
            resolved = target.resolve()
            assert any(resolved.is_relative_to(folder) for folder in home), f"{path}: {name}"
        else:
            assert any(rule.fullmatch(name) for rule in allowed), f"{path} includes <{name}>"


@pytest.mark.parametrize("path", sources(CSRC / "kernels"), ids=lambda path: path.name)
def test_kernels_know_no_torch(path: Path) -> None:
    check_includes(path, (CSRC / "kernels",), STANDARD, CUDA_RUNTIME)


@pytest.mark.parametrize("path", sources(CSRC / "ops"), ids=lambda path: path.name)
def test_binding_keeps_to_the_stable_abi(path: Path) -> None:
    home = (CSRC / "ops", CSRC / "kernels")
    check_includes(path, home, STANDARD, STABLE_TORCH, CUDA_RUNTIME)
    code = without_comments_and_strings(path)
    assert not re.search(r"\b(at|c10|pybind11)::", code)


def test_extension_module_knows_no_tensor() -> None:
    check_includes(CSRC / "library.cpp", (CSRC / "kernels",), STANDARD, PYBIND)


# The code that runs per plane, on the CPU and on the device. What prepares it on the host (the
# choice of a level, the tables of a plan) may allocate: it runs once.
HOST_SIDE = re.compile(r"dispatch\.(h|cpp)|\w*plan\w*\.(h|cpp)|\w*table\w*\.(h|cpp)")
PER_PLANE = [
    path
    for path in sources(CSRC / "kernels")
    if not HOST_SIDE.fullmatch(path.name) and "replay" not in path.parts
]


@pytest.mark.parametrize("path", PER_PLANE, ids=lambda path: path.name)
def test_kernels_neither_throw_nor_allocate(path: Path) -> None:
    words = r"\b(throw|try|catch|new|delete|malloc|calloc|free|cudaMalloc\w*)\b"
    forbidden = words + r"|std::(vector|string|map)\b"
    code = re.sub(r"=\s*delete\b", "", without_comments_and_strings(path))
    assert not re.search(forbidden, code)


@pytest.mark.parametrize("path", sources(CSRC), ids=lambda path: path.name)
def test_stems_differ_where_objects_could_collide(path: Path) -> None:
    """X.cpp beside X.cu in one folder: build systems name both objects X.o."""
    assert not (path.suffix == ".cpp" and path.with_suffix(".cu").exists())
