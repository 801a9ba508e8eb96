"""What the build promises: stable ABI, levels kept apart, torch's threads, errors in a sentence."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import torch

import freqops
from freqops import _C, _libraries

ROOT = Path(__file__).parents[1]
PACKAGE = Path(freqops.__file__).parent
BUILD = ROOT / "build"
LIBRARIES = sorted(PACKAGE.glob("libfreqops_*.so"))
EXTENSION = Path(_C.__file__)


def run(*command: object, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {
        key: value
        for key, value in os.environ.items()
        if key not in ("FREQOPS_CPU", "FREQOPS_CUDA")
    }
    return subprocess.run(
        [str(part) for part in command],
        cwd=os.sep,  # `python -c` looks for freqops in the working folder first
        env={**environment, **variables},
        capture_output=True,
        text=True,
    )


def python(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-c", code, **variables)


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1]


# --- binaries ------------------------------------------------------------------------------------


def symbols(file: Path, *options: str) -> list[str]:
    listing = run("nm", "--demangle", *options, file)
    assert listing.returncode == 0, listing.stderr
    return listing.stdout.splitlines()


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda path: path.stem)
def test_links_no_cpp_symbol_of_torch(library: Path) -> None:
    """Only torch's C functions may be needed: its C++ ones change from release to release."""
    undefined = symbols(library, "-D", "--undefined-only")
    assert any(
        "torch_library_impl" in line for line in undefined
    )  # the listing is not simply empty
    assert not [line for line in undefined if re.search(r"\b(at|c10|torch|caffe2)::", line)]


@pytest.mark.parametrize("library", [*LIBRARIES, EXTENSION], ids=lambda path: path.stem)
def test_holds_no_path_of_this_machine(library: Path) -> None:
    content = library.read_bytes()
    assert str(ROOT).encode() not in content
    assert str(Path(torch.__file__).parent).encode() not in content
    dynamic = run("readelf", "-d", library).stdout
    assert re.findall(r"(?:RPATH|RUNPATH).*\[(.*)\]", dynamic) == ["$ORIGIN"]


@pytest.mark.parametrize("level", _C.cpu_levels())
def test_levels_share_no_inline_function(level: str) -> None:
    """A weak symbol outside the level's namespace could be taken from the AVX-512 objects."""
    objects = list((BUILD / "CMakeFiles" / f"freqops_cpu_{level}.dir").rglob("*.o"))
    if not objects:
        pytest.skip("the package was not built in this checkout")
    weak = [
        line
        for file in objects
        for line in symbols(file, "--defined-only")
        if re.search(r" [WVu] ", line)
    ]
    assert weak  # template instances of the level itself
    assert not [line for line in weak if f"level_{level}" not in line]


def test_ptxas_report_covers_every_kernel_file() -> None:
    if not _C.cuda_built or not BUILD.exists():
        pytest.skip("no CUDA library in this build")
    report = (BUILD / "ptxas-report.txt").read_text()
    assert {f"'sm_{arch}'" for arch in _C.cuda_archs} <= set(re.findall(r"'sm_\w+'", report))
    for source in (ROOT / "csrc/kernels/cuda").glob("*.cu"):
        assert (
            "Compiling entry function" in (BUILD / "cuda" / f"{source.stem}.ptxas.txt").read_text()
        )


# --- at run time ---------------------------------------------------------------------------------

_SHARE_OF_SECOND_THREAD = """
import os, sys, time, torch, freqops

def processor_ticks():
    spent = []
    for thread in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{thread}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        spent.append((thread, int(fields[11]) + int(fields[12])))
    return dict(spent)

torch.set_num_threads(int(sys.argv[1]))
x, response = torch.rand(32, 3, 64, 64), torch.rand(64, 33)
freqops.fft_filter2d(x, response)
before = processor_ticks()
end = time.monotonic() + 0.8
while time.monotonic() < end:
    freqops.fft_filter2d(x, response)
spent = sorted(ticks - before.get(thread, 0) for thread, ticks in processor_ticks().items())
print(spent[-2] / spent[-1] if len(spent) > 1 else 0.0)
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads Linux's per-thread times")
@pytest.mark.parametrize("threads", [1, 2])
def test_uses_the_threads_of_torch(threads: int) -> None:
    """No -fopenmp is set; if parallel_for were serial for lack of it, only the time would tell.

    Idle threads must sleep (OMP_WAIT_POLICY), or spinning would look like work.
    """
    result = run(
        sys.executable,
        "-c",
        _SHARE_OF_SECOND_THREAD,
        threads,
        OMP_WAIT_POLICY="passive",
        OMP_NUM_THREADS="2",
    )
    assert result.returncode == 0, result.stderr
    share = float(result.stdout)
    assert share > 0.5 if threads == 2 else share < 0.2


_FILTER_AND_TELL_LEVEL = """
import torch, freqops
from freqops import _C
x = torch.rand(3, 12, 14)
torch.testing.assert_close(freqops.fft_filter2d(x, torch.ones(12, 8)), x)
print(_C.cpu_level())
"""


@pytest.fixture(scope="module")
def best_level() -> str:
    return python(_FILTER_AND_TELL_LEVEL).stdout.strip()


@pytest.mark.parametrize("level", _C.cpu_levels())
def test_level_can_be_forced(level: str, best_level: str) -> None:
    levels = _C.cpu_levels()
    result = python(_FILTER_AND_TELL_LEVEL, FREQOPS_CPU=level)
    if levels.index(level) <= levels.index(best_level):
        assert result.stdout.split() == [level], result.stderr
    else:
        sentence = f"FREQOPS_CPU={level} asks for instructions this machine does not have"
        assert last_line(result.stderr) == f"ImportError: freqops: {sentence}"


def test_unknown_level_is_one_sentence() -> None:
    result = python("import freqops", FREQOPS_CPU="sse9")
    assert result.returncode != 0
    assert re.fullmatch(
        r"ImportError: freqops: FREQOPS_CPU must be one of .*default.*, got sse9",
        last_line(result.stderr),
    )


def test_cuda_state_is_told() -> None:
    loaded, reason = _libraries.CUDA
    if not _C.cuda_built:
        assert (loaded, reason[:9]) == (False, "not built")
    elif torch.version.cuda is None:
        assert not loaded
        assert reason == f"not loaded: torch {torch.__version__} is a build without CUDA"
    else:
        assert loaded, reason


def test_import_is_light() -> None:
    """A training script that imports freqops pays for no plots, tables or command line."""
    heavy = ("matplotlib", "typer", "rich", "jinja2", "freqops.evaluation", "freqops.cli")
    result = python(
        f"import sys, torch, freqops; print([name for name in {heavy} if name in sys.modules]); "
        "print(freqops.evaluation.sweep.__name__)"
    )
    assert result.stdout.splitlines() == ["[]", "sweep"], result.stderr


def test_version_has_one_source() -> None:
    (version,) = re.findall(r'(?m)^version = "(.*?)"', (ROOT / "pyproject.toml").read_text())
    assert freqops.__version__ == version


# --- one sentence where something is missing -----------------------------------------------------


def test_package_without_libraries(tmp_path: Path) -> None:
    shutil.copytree(
        PACKAGE, tmp_path / "freqops", ignore=shutil.ignore_patterns("*.so", "demo", "__pycache__")
    )
    result = python("import freqops", PYTHONPATH=str(tmp_path))
    sentence = (
        rf"ImportError: freqops: {tmp_path}/\S+ is missing, the package was not built; run .*"
    )
    assert re.fullmatch(sentence, last_line(result.stderr))


@pytest.mark.parametrize(
    ("hidden", "sentence"),
    [
        ("sys.modules['torch'] = None", r"the build uses the torch .* --no-build-isolation \."),
        (
            "setuptools.__version__ = '65.5.0'",
            r"the build needs setuptools >= 77, found 65\.5\.0; .*",
        ),
        ("sys.modules['pybind11'] = None", r"the build needs .*pybind11; run: pip install .*"),
    ],
    ids=["torch", "setuptools", "pybind11"],
)
def test_build_without_its_tools(hidden: str, sentence: str) -> None:
    """Without torch is what an isolated build meets: an end before anything is downloaded."""
    result = python(
        f"import runpy, setuptools, sys; {hidden}; sys.argv[1:] = ['egg_info']; "
        f"runpy.run_path({str(ROOT / 'setup.py')!r})"
    )
    assert result.returncode == 1
    assert re.fullmatch(rf"freqops: {sentence}\n", result.stderr)


def configure(
    folder: Path, *definitions: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    scripts = sysconfig.get_path("scripts")
    path = os.pathsep.join([scripts, os.environ["PATH"]])
    cmake = shutil.which("cmake", path=path)
    if cmake is None or importlib.util.find_spec("pybind11") is None:
        pytest.skip("the build tools are not installed beside this Python")
    return run(
        *(
            cmake,
            "-S",
            ROOT,
            "-B",
            folder / "build",
            "-G",
            "Ninja",
            f"-DPython_EXECUTABLE={sys.executable}",
        ),
        *(f"-DFREQOPS_OUTPUT_DIR={folder}", *definitions),
        **{"PATH": path, **variables},
    )


def test_cuda_demanded_without_toolkit(tmp_path: Path) -> None:
    result = configure(tmp_path, "-DCUDAToolkit_ROOT=/nowhere", FREQOPS_CUDA="1")
    assert result.returncode != 0
    words = " ".join(result.stderr.split())  # CMake breaks lines where it likes
    assert "freqops: FREQOPS_CUDA=1 asks for the CUDA library, but no CUDA toolkit" in words


def test_cuda_undecided_without_toolkit(tmp_path: Path) -> None:
    result = configure(tmp_path, "-DCUDAToolkit_ROOT=/nowhere")
    assert result.returncode == 0, result.stderr
    assert "CUDA library 0" in result.stdout


@pytest.mark.skipif(
    shutil.which("nvcc") is None and not Path("/usr/local/cuda/bin/nvcc").exists(),
    reason="nvcc is absent",
)
@pytest.mark.parametrize(
    ("driver", "asked", "built", "ptx"),
    [
        ("exit 9", "", "90", "90"),
        ("printf '9.0\\n8.6\\n9.0\\n'", "", "86;90", "90"),
        ("printf '8.6\\n'", "120,80", "80;120", "120"),
    ],
    ids=["no GPU", "two kinds of GPU", "asked for"],
)
def test_cuda_architectures(tmp_path: Path, driver: str, asked: str, built: str, ptx: str) -> None:
    """Those asked for, or this machine's, or one; the newest also for GPUs newer than it."""
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{driver}\n")
    program.chmod(0o755)
    result = configure(
        tmp_path, f"-DNVIDIA_SMI={program}", f"-DFREQOPS_CUDA_ARCHS={asked}", FREQOPS_CUDA="1"
    )
    assert result.returncode == 0, result.stderr
    assert f"CUDA library 1 {built}\n" in result.stdout
    commands = (tmp_path / "build" / "build.ninja").read_text()
    compiled = set(re.findall(r",code=(\w+)", commands))
    assert compiled == {*(f"sm_{arch}" for arch in built.split(";")), f"compute_{ptx}"}


def test_cuda_setting_is_checked(tmp_path: Path) -> None:
    result = configure(tmp_path, FREQOPS_CUDA="yes")
    assert result.returncode != 0
    assert "freqops: FREQOPS_CUDA must be 0, 1 or unset, got yes." in " ".join(
        result.stderr.split()
    )
