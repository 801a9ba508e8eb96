"""Every table of times comes from a committed result: the pages are made anew and compared.

Nothing is drawn and nothing is timed here. `python benchmarks/run.py --render` mends what fails.
"""

import json
import re
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from bench_results import made_up, made_up_row

from freqops.bench import record

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "benchmarks"))

import kept  # noqa: E402
import kept_rows  # noqa: E402
import page_blocks  # noqa: E402
import pages  # noqa: E402
import results_page  # noqa: E402
import whole_blocks  # noqa: E402

RENDER = "python benchmarks/run.py --render"


@pytest.fixture(scope="module")
def committed() -> kept.Kept:
    return kept.read()


@pytest.fixture(scope="module")
def rendered(committed: kept.Kept) -> dict[Path, str]:
    return pages.rendered(committed)


PAGES = [pages.README, pages.PAGE, *page_blocks.pages()]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_page_is_what_the_results_say(path: Path, rendered: dict[Path, str]) -> None:
    assert path.read_text() == rendered[path], f"{RENDER} was not run"


def test_every_page_is_compared(rendered: dict[Path, str]) -> None:
    assert set(rendered) == set(PAGES)
    marked = {
        path
        for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
        if page_blocks.MARK.search(path.read_text())
    }
    assert marked == set(page_blocks.pages())


def test_every_picture_that_is_named_is_there(committed: kept.Kept) -> None:
    """And each that is there is named: nothing old is left behind."""
    named = set(re.findall(r"\(images/(\S+)\)", pages.PAGE.read_text()))
    drawn = {path.name for path in pages.pictures(committed)}
    assert named == drawn
    there = {path.name for path in pages.IMAGES.glob("bench_*.png")}
    assert there == {name for name in drawn if name.startswith("bench_")}
    assert (pages.IMAGES / "convolution_crossover.png").exists()


def test_every_result_is_committed(committed: kept.Kept) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    command = ["git", "-C", str(ROOT), "ls-files", "benchmarks/results"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    tracked = {Path(line).name for line in done.stdout.split()}
    assert {result["file"] for result in committed.everything()} <= tracked


# --- tables that stand in no block ----------------------------------------------------------------

# Pages that are not wholly made of results.
WRITTEN = [ROOT / "README.md", *(set((ROOT / "docs").glob("*.md")) - {pages.PAGE})]
# In a table: times and memory. In a sentence: a time, or how much sooner something is.
OF_TABLES = re.compile(
    r"\bms\b|\bMi?B\b|milliseconds|a training step|time of a copy", re.IGNORECASE
)
OF_SENTENCES = re.compile(
    r"\d ?(?:ms|milliseconds)\b"
    r"|[\d.]+ times (?:as (?:fast|long)|faster|slower|sooner|what it takes)"
)


@pytest.mark.parametrize("page", sorted(WRITTEN), ids=lambda path: path.name)
def test_no_measured_time_stands_outside_of_a_block(page: Path) -> None:
    rest = page_blocks.MARK.sub("", page.read_text())
    tables = re.findall(r"(?m)(?:^\|.*\n)+", rest)
    assert [table for table in tables if OF_TABLES.search(table)] == []
    assert OF_SENTENCES.findall(rest) == []


# --- what the page says ---------------------------------------------------------------------------


def some(*rows: dict[str, Any], **environment: Any) -> dict[str, Any]:
    result = made_up(*rows, **environment)
    result["environment"] |= {"date": "2026-11-21 07:21 UTC", "commit": "abc", "load": 0.5}
    result["environment"] |= {"python": "3.11", "freqops": "0.1.0", "compiler": "GNU"}
    return {**result, "file": "some.json"}


def losing(ours: float) -> dict[str, Any]:
    return made_up_row(label=f"2x3x7x7 at {ours:g}", freqops=ours, torch=1.0, copy=0.5)


def test_losses_come_first_the_worst_at_the_top() -> None:
    rows = [made_up_row(), losing(1.02), losing(2.0), losing(4.0)]
    page = results_page.page(kept.Kept(suites=[some(*rows)]), [])
    losses = page.partition("### Losses: 2 of 4")[2].partition("## Filters")[0]
    clear, near = losses.split("Level, but behind, by 5 % at most: 1")
    assert [line.split(": ")[1][:4] for line in clear.splitlines() if line[:1] == "-"] == [
        "0.25",
        "0.50",
    ]
    assert near.count("\n- ") == 1
    assert page.index("### Losses") < page.index("## Filters")
    assert "| **0.25** |" in page.partition("## Filters")[2]


def test_no_losses_is_said() -> None:
    page = results_page.page(kept.Kept(suites=[some()]), [])
    assert "### Losses: 0 of 1\n\n**No losses**" in page


def test_peers_that_compute_something_else_and_rows_that_fail_are_named() -> None:
    failed = {**made_up_row(label="9x9"), "contenders": [], "failed": "no kernel"}
    apart = made_up_row(not_compared={"kornia": "differs by 0.1"})
    page = results_page.page(kept.Kept(suites=[some(failed, apart)]), [])
    assert "9x9: ours does not run: no kernel" in page
    assert "kornia differs by 0.1" in page


def test_rows_of_the_other_allocator_are_beside_their_own() -> None:
    default = some(made_up_row(), losing(2.0))
    warm = some(losing(4.0), made_up_row(freqops=1.0, torch=8.0, copy=0.5), allocator="warm")
    page = results_page.page(kept.Kept(suites=[default, warm]), [])
    first, second = (
        line for line in page.splitlines() if "| torch 3.6 |" in line or " at 2 |" in line
    )
    assert "| 8.00 |" in first
    assert second.endswith("|  |  |  |  |")  # there is no such row


def test_gpu_is_not_measured_until_it_is() -> None:
    assert "**Not measured" in results_page.page(kept.Kept(), [])
    on_gpu = some(device="cuda:0")
    page = results_page.page(kept.Kept(gpu=[on_gpu]), [])
    assert "Not measured: no GPU" not in page


def test_results_are_told_apart(tmp_path: Path) -> None:
    row = some()
    record.write(tmp_path / "cpu.json", row)
    record.write(tmp_path / "cuda.json", some(device="cuda:0"))
    contents = {
        "models": {"models": []},
        "evaluation": {"evaluation": []},
        "accelerated": {"accelerated": []},
        "gpu-h200": {"steps": {}},
    }
    for name, content in contents.items():
        text = json.dumps({"environment": row["environment"], **content})
        (tmp_path / f"{name}.json").write_text(text)
    found = kept.read(tmp_path)
    names = {kind: [one["file"] for one in getattr(found, kind)] for kind in
             ("suites", "models", "evaluation", "accelerated", "gpu")}  # fmt: skip
    assert names == {
        "suites": ["cpu.json"],
        "models": ["models.json"],
        "evaluation": ["evaluation.json"],
        "accelerated": ["accelerated.json"],
        "gpu": ["cuda.json", "gpu-h200.json"],
    }


# --- blocks ---------------------------------------------------------------------------------------


@pytest.fixture
def block(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    blocks: dict[str, Any] = {"tea": page_blocks.Block("README.md", lambda _: "| new |")}
    monkeypatch.setattr(page_blocks, "BLOCKS", blocks)
    return blocks


def filled(body: str, name: str = "tea") -> str:
    text = f"before <!-- benchmarks: {name} -->{body}<!-- end of benchmarks: {name} --> after"
    return page_blocks.filled(text, ROOT / "README.md", kept.Kept())


def test_a_block_is_replaced_and_the_rest_is_left(block: dict[str, Any]) -> None:
    page = filled("old")
    assert page.startswith("before <!-- benchmarks: tea -->\n\n| new |\n\n<!-- end")
    assert page.endswith(" after")
    block["tea"] = page_blocks.Block("README.md", lambda _: "3 ms", inline=True)
    assert "tea -->3 ms<!-- end" in filled("old")


def test_a_block_without_a_result_has_to_say_so(block: dict[str, Any]) -> None:
    block["tea"] = page_blocks.Block("README.md", lambda _: None)
    assert "Measured once" in filled("| 3 ms | Measured once by hand.")
    with pytest.raises(LookupError, match="tea has no result and does not say so"):
        filled("| 3 ms |")


def test_marks_and_blocks_belong_together(block: dict[str, Any]) -> None:
    with pytest.raises(LookupError, match="differ in coffee, tea"):
        filled("", "coffee")


def test_a_row_that_went_is_an_error(committed: kept.Kept) -> None:
    other = deepcopy(committed.suites[0])
    with pytest.raises(LookupError, match="has no row fft_filter2d, 1x1"):
        kept_rows.row_of(other, "fft_filter2d", "1x1")


def test_whole_jobs_name_the_fastest_peer_of_the_same_function() -> None:
    def entry(name: str, role: str, median: float) -> dict[str, Any]:
        return {"name": name, "role": role, "median": median}

    contenders = [
        entry("freqops", "ours", 100.0), entry("torch", "peer", 150.0),
        entry("timm", "peer", 90.0), entry("kornia", "other", 50.0),
        entry("slice", "floor", 98.0), entry("plain", "other", 80.0),
        entry("pool_only, torch", "peer", 10.0),
    ]  # fmt: skip
    ratios = {f"{one['name']} / freqops": one["median"] / 100 for one in contenders[1:]}
    ratios["freqops / slice"] = 1.02
    models = [
        {"label": label, "images": 8, "contenders": contenders, "ratios": ratios}
        for label in whole_blocks._NETWORKS
    ]
    evaluated = [entry("freqops", "ours", 1000.0), entry("network", "floor", 900.0)]
    evaluated.append(entry("torch.fft", "peer", 1100.0))
    row = {"label": "a net", "contenders": evaluated, "ratios": {"torch.fft": 1.1, "network": 0.9}}
    made = whole_blocks.whole(
        kept.Kept(models=[{"models": models}], evaluation=[{"evaluation": [row]}])
    )
    assert made is not None
    assert "| 80 | 98 | 100 (+2.0% on slices) | timm 90 (0.90x) |" in made
    assert "| a net | 0.9 | 1 | 1.1 (1.10x) |  |" in made
    assert whole_blocks.whole(kept.Kept()) is None
