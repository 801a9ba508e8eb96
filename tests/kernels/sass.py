"""Machine code of the CUDA kernels, and how many instructions of it a pixel costs.

A kernel is a list of phases between barriers (csrc/kernels/cuda/phases.h), and most phases are one
loop over tasks that stores the elements it has worked on. How often the loop runs is not looked up:
every element of a block is stored once per phase, so the stores in one turn tell how many turns a
block needs, however far the compiler unrolled.
"""

import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import NamedTuple


class Instruction(NamedTuple):
    """One line of the listing.

    Attributes:
        address: in bytes from the start of the kernel.
        opcode: with its modifiers, such as `STS.64`.
        conditional: whether a predicate stands before it.
        target: the address that a branch goes to.
    """

    address: int
    opcode: str
    conditional: bool
    target: int | None


Code = Sequence[Instruction]

_LINE = re.compile(r"^\s*/\*([0-9a-f]{4,})\*/\s+(@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)([^;]*);")
_BARRIERS = ("BAR", "UCGABAR_WAIT")  # of a block, of a cluster
# Pixels that a store writes: an element in shared memory is complex, one of its parts per plane.
_PIXELS_OF_STORE = {
    ("STS", "64"): 2,
    ("STS", "128"): 4,
    ("ST", "64"): 2,  # into another block's shared memory
    ("STG", "32"): 1,
    ("STG", "64"): 2,
    ("STG", "128"): 4,
}


class Cost(NamedTuple):
    """Instructions of one phase.

    Attributes:
        per_pixel: in the loop over tasks, for each pixel that a turn of it stores.
        per_thread: on the way to the loop and from it to the barrier.
    """

    per_pixel: float
    per_thread: int


@cache
def disassembler() -> Path | None:
    """`cuobjdump`: the toolkit's, or that of the Python package of this name (extra `dev`).

    It calls `nvdisasm`, of a package of its own, which installs it beside.
    """
    found = shutil.which("cuobjdump")
    if found is not None:
        return Path(found)
    try:
        files = metadata.files("nvidia-cuda-cuobjdump") or []
    except metadata.PackageNotFoundError:
        return None
    paths = (Path(str(file.locate())) for file in files if file.name == "cuobjdump")
    return next((path for path in paths if path.with_name("nvdisasm").is_file()), None)


def listing(file: Path, architecture: str, *kernels: str) -> dict[str, Code]:
    """The code of these kernels (mangled names) in an object file or library, by name."""
    command = [str(disassembler()), "-sass", "-arch", f"sm_{architecture}"]
    for kernel in kernels:
        command += ["-fun", kernel]
    done = subprocess.run([*command, str(file)], capture_output=True, text=True, check=True)
    return parsed(done.stdout)


def parsed(text: str) -> dict[str, Code]:
    """The kernels of a listing."""
    kernels: dict[str, Code] = {}
    for part in text.split("Function : ")[1:]:
        name, _, body = part.partition("\n")
        matches = (_LINE.match(line) for line in body.splitlines())
        kernels[name.strip()] = [_instruction(match) for match in matches if match is not None]
    return kernels


def _instruction(match: re.Match[str]) -> Instruction:
    address, predicate, opcode, operands = match.groups()
    target = re.search(r"0x([0-9a-f]+)\s*$", operands) if opcode.startswith("BRA") else None
    return Instruction(
        int(address, 16),
        opcode,
        predicate is not None or (opcode.startswith("BRA") and "P" in operands),
        None if target is None else int(target.group(1), 16),
    )


def phases(code: Code) -> list[Code]:
    """What stands between barriers, each with the barrier that ends it; then the rest."""
    ends = [index + 1 for index in range(len(code)) if _is_barrier(code, index)]
    return [code[start:end] for start, end in zip([0, *ends], [*ends, len(code)], strict=True)]


def _is_barrier(code: Code, index: int) -> bool:
    """Whether a phase ends here.

    Before a cluster's barrier the compiler asks whether there is a cluster, and jumps from there
    across the barrier of the block that it would be otherwise.
    """
    if code[index].opcode.split(".")[0] not in _BARRIERS:
        return False
    before = code[index - 1]
    jumped_across = index + 1 < len(code) and before.target == code[index + 1].address
    return not jumped_across or before.conditional


def cost(phase: Code) -> Cost:
    """Instructions of a phase that stores every element of the block once, or none at all.

    The loop is the one that stores most: what the compiler split off for a remainder is the same
    work. A turn is the shortest of the ways through it that store most, so what is skipped for
    nearly every pixel (the redoing of a pair, say) does not count.
    """
    last = len(phase) - 1
    turns = {(start, end): _way(phase, start, end, storing=True) for start, end in _loops(phase)}
    start, end = max(turns, key=lambda span: turns[span].pixels, default=(0, last))
    turn = turns.get((start, end)) or _way(phase, start, end, storing=True)
    if not turn.pixels:
        return Cost(0.0, _way(phase, 0, last, storing=False).instructions + 1)
    around = 0
    if turns:
        ways = (_way(phase, *span, storing=False) for span in ((0, start), (end, last)))
        around = sum(way.instructions for way in ways)
    # A way does not count the instruction that it starts from, but a turn has it.
    return Cost((turn.instructions + 1) / turn.pixels, around)


class Way(NamedTuple):
    """From one instruction, which does not count, to another, which does."""

    pixels: int
    instructions: int


def _places(phase: Code) -> dict[int, int]:
    return {instruction.address: index for index, instruction in enumerate(phase)}


def _spans(phase: Code) -> list[tuple[int, int]]:
    """Loops: places of their first and their last instruction."""
    places = _places(phase)
    return [
        (places[instruction.target], index)
        for index, instruction in enumerate(phase)
        if instruction.target in places and places[instruction.target] <= index
    ]


def _following(phase: Code, index: int, places: dict[int, int]) -> list[int]:
    """Places of the instructions that may come next; -1 for one outside."""
    instruction = phase[index]
    following = [] if instruction.target is None else [places.get(instruction.target, -1)]
    if instruction.conditional or instruction.opcode.split(".")[0] not in ("BRA", "EXIT"):
        following.append(index + 1)
    return following


def _loops(phase: Code) -> list[tuple[int, int]]:
    """Innermost loops that store something: places of their first and their last instruction."""
    spans = _spans(phase)
    return [
        (start, end)
        for start, end in spans
        if not any(start <= a and b <= end and (a, b) != (start, end) for a, b in spans)
        and any(map(_pixels, phase[start : end + 1]))
    ]


def _pixels(instruction: Instruction) -> int:
    name, *modifiers = instruction.opcode.split(".")
    width = next((word for word in modifiers if word in ("64", "128", "U8", "U16")), "32")
    return _PIXELS_OF_STORE.get((name, width), 0)


def _way(phase: Code, start: int, end: int, *, storing: bool) -> Way:
    """The shortest way forward, or of those that store most the shortest."""
    places = _places(phase)

    def preference(way: Way) -> tuple[int, int]:
        return (-way.pixels if storing else 0, way.instructions)

    best = {start: Way(_pixels(phase[start]), 0)}
    for index in range(start, end):
        if index not in best:
            continue
        way = best[index]
        for place in _following(phase, index, places):
            if place <= index:
                continue
            longer = Way(
                way.pixels + _pixels(phase[place]),
                way.instructions + (phase[place].opcode != "NOP"),
            )
            best[place] = min(best.get(place, longer), longer, key=preference)
    if end not in best:
        raise ValueError(f"{phase[end].address:#x} is not reached from {phase[start].address:#x}")
    return best[end]


def instructions_per_pixel(code: Code, *, setup: int, threads: int, pixels: int) -> float:
    """Instructions that the threads of a block execute, for each pixel of its planes.

    Args:
        code: of the kernel.
        setup: how many phases come before the planes are read (twiddles, which planes); they and
            what follows the last barrier are not counted.
        threads: of a block; or of a cluster,
        pixels: and then of what all its blocks hold.
    """
    costs = [cost(phase) for phase in phases(code)[setup:-1]]
    around = sum(one.per_thread for one in costs)
    return sum(one.per_pixel for one in costs) + around * threads / pixels


def instructions_of_a_march(code: Code, *, loads: int) -> int:
    """Instructions in a turn of the loop that both reads and stores, in a kernel without barriers.

    Args:
        code: of the kernel.
        loads: how many 16-byte vectors a turn reads inside the image. The shortest of the ways
            that read just these, and store, is the one that nearly all turns take: where a turn has
            padding, it reads other numbers of vectors.
    """
    ways = [_march(code, *span, loads) for span in _spans(code)]
    found = [way for way in ways if way is not None]
    if not found:
        raise ValueError(f"no loop reads {loads} vectors and stores")
    return min(found)


def loops(code: Code) -> list[tuple[int, int]]:
    """Places of the first and the last instruction of every loop, in the order of their ends."""
    return _spans(code)


def instructions_of_a_turn(code: Code, span: tuple[int, int], **executed: int) -> int:
    """Of the shortest way through a loop that executes so many instructions of each kind.

    Args:
        code: of a phase or a kernel.
        span: of the loop; a loop inside it is passed once.
        executed: how many of an opcode (with any modifiers; `LDS_` is one without) a turn executes
            that does all of its work.
    """
    places = _places(code)
    start, end = span
    wanted = tuple(executed.values())
    best: list[dict[tuple[int, ...], int]] = [{} for _ in range(end + 1)]

    def is_kind(place: int, kind: str) -> bool:
        opcode = code[place].opcode
        return opcode == kind[:-1] if kind.endswith("_") else opcode.split(".")[0] == kind

    def arrive(place: int, done: tuple[int, ...], count: int) -> None:
        done = tuple(n + is_kind(place, kind) for n, kind in zip(done, executed, strict=True))
        if all(n <= most for n, most in zip(done, wanted, strict=True)):
            count += code[place].opcode != "NOP"
            best[place][done] = min(best[place].get(done, count), count)

    arrive(start, (0,) * len(wanted), 0)
    for index in range(start, end):
        for done, count in best[index].items():
            for place in _following(code, index, places):
                if index < place <= end:
                    arrive(place, done, count)
    if wanted not in best[end]:
        raise ValueError(f"no way through the loop executes {executed}")
    return best[end][wanted]


def _march(code: Code, start: int, end: int, loads: int) -> int | None:
    """From the first to the last instruction of a loop; by what has been read and stored so far."""
    places = _places(code)
    best: list[dict[tuple[int, bool], int]] = [{} for _ in range(end + 1)]

    def arrive(place: int, read: int, stored: bool, count: int) -> None:
        name, *modifiers = code[place].opcode.split(".")
        state = (read + (name == "LDG" and "128" in modifiers), stored or name == "STG")
        count += name != "NOP"
        best[place][state] = min(best[place].get(state, count), count)

    arrive(start, 0, False, 0)
    for index in range(start, end):
        for (read, stored), count in best[index].items():
            for place in _following(code, index, places):
                if index < place <= end and read <= loads:
                    arrive(place, read, stored, count)
    return best[end].get((loads, True))
