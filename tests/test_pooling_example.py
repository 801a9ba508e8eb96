"""examples/pooling_responses.py: what it measures, against formulas; and its files."""

import json
import math
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from freqops import filters, spectral_pool2d

EXAMPLES = Path(__file__).parents[1] / "examples"
SIZE = 64


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import pooling_responses

    return pooling_responses


@pytest.mark.parametrize("taps", [3, 4, 7])
def test_a_blur_has_the_response_of_its_taps(example: ModuleType, taps: int) -> None:
    gains, false = example.response(example.POOLS[f"blur, {taps} taps"].circular, SIZE)
    exact = filters.frequency_response(filters.binomial_taps(taps).double(), SIZE).abs()
    torch.testing.assert_close(torch.tensor(gains).double(), exact[1:16], rtol=1e-6, atol=1e-9)
    energy = exact[17:].square()
    torch.testing.assert_close(torch.tensor(false).double(), energy, rtol=1e-6, atol=1e-9)


def test_layers_without_a_filter_and_with_an_ideal_one(example: ModuleType) -> None:
    gains, false = example.response(example.POOLS["stride 2"].circular, SIZE)
    assert gains == pytest.approx([1.0] * 15)
    assert false == pytest.approx([1.0] * 16)
    for name in ("FLC", "spectral, half", "spectral, sum", "spectral, zero"):
        gains, false = example.response(example.POOLS[name].circular, SIZE)
        assert gains == pytest.approx([1.0] * 15)
        assert max(false) < 1e-20
    nyquist = [example.at_nyquist(example.POOLS[f"spectral, {n}"].circular, SIZE) for n in
               ("half", "sum", "zero")]  # fmt: skip
    assert nyquist == pytest.approx([0.5, 1, 0], abs=1e-6)


def test_gain_of_a_maximum_does_not_depend_on_the_amplitude(example: ModuleType) -> None:
    layer = example.POOLS["max 2x2"].circular
    gains, false = example.response(layer, SIZE)
    halved, same = example.response(lambda x: 2 * layer(x / 2), SIZE)
    assert halved == pytest.approx(gains)
    assert same == pytest.approx(false)
    assert all(0.1 < energy < 0.7 for energy in false)


def test_half_power(example: ModuleType) -> None:
    """cos^2(pi f) is the root of a half at f = acos(2^-1/4) / pi."""
    gains, _ = example.response(example.POOLS["blur, 3 taps"].circular, 256, phases=2)
    exact = math.acos(0.5**0.25) / math.pi
    assert example.half_power(gains, 256) == pytest.approx(exact, abs=1e-4)
    assert example.half_power([1.0, 0.9], 8) is None


def test_edges_borders_and_shifts(example: ModuleType) -> None:
    average, wrapped = example.POOLS["average 2x2"], example.POOLS["spectral, zero"]
    assert example.overshoot(average.natural, SIZE) == pytest.approx(0, abs=1e-12)
    assert 0.05 < example.overshoot(wrapped.natural, SIZE) < 0.12
    assert example.border_error(average.natural, SIZE) == pytest.approx(0, abs=1e-12)
    assert example.border_error(wrapped.natural, SIZE) > 0.1
    x = example.continued(torch.rand(2, 1, 16, 16, dtype=torch.float64))
    assert torch.equal(x[..., 0], x[..., -1])
    assert example.shift_error(wrapped.circular, x) < 1e-12
    fine = torch.cos(torch.pi * torch.arange(32.0, dtype=torch.float64)).expand(1, 1, 32, 32)
    flicker = example.shift_error(lambda x: x[..., ::2, ::2], fine + 0.01 * x[:1])
    assert flicker > 1  # it is all white or all black


def test_what_is_measured_is_not_influenced_by_borders(example: ModuleType) -> None:
    x = torch.rand(1, 1, 24, 32, dtype=torch.float64)
    for pool in example.POOLS.values():
        moved = pool.circular(x.roll((2, -4), (-2, -1)))
        torch.testing.assert_close(moved, pool.circular(x).roll((1, -2), (-2, -1)))
        inner = (pool.natural(x) - pool.circular(x))[..., 4:-4, 4:-4]
        assert inner.abs().max() < 1e-12
    same = example.POOLS["spectral, half"].natural(x)
    assert torch.equal(same, spectral_pool2d(x))
    assert torch.equal(example.POOLS["max 2x2"].natural(x), F.max_pool2d(x, 2))


def test_the_page_shows_what_was_measured(example: ModuleType) -> None:
    page = (EXAMPLES.parent / "docs" / "pooling.md").read_text()
    shown = page.partition(example.FIRST)[2].partition(example.LAST)[0].strip()
    content = json.loads((EXAMPLES.parent / "docs" / "pooling_responses.json").read_text())
    made = example.table(content["layers"], {}).strip()
    assert [line.rsplit("|", 2)[0] for line in shown.splitlines()] == [
        line.rsplit("|", 2)[0] for line in made.splitlines()
    ]  # all but the times
    assert example.with_table(page, f"{shown}\n") == page
    gains, _ = example.response(example.POOLS["blur, 4 taps"].circular, content["size"], phases=2)
    assert gains == pytest.approx(content["layers"]["blur, 4 taps"]["gain"], rel=1e-4)


def test_the_readme_shows_the_same() -> None:
    root = EXAMPLES.parent
    readme = (root / "README.md").read_text()
    section = readme.partition("### What a pooling layer does")[2].partition("\n## ")[0]
    layers = json.loads((root / "docs" / "pooling_responses.json").read_text())["layers"]
    page = (root / "docs" / "pooling.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.split("|")] for line in page if "% |" in line]
    shown = [line.split(" | ") for line in section.splitlines() if "% |" in line]
    assert len(shown) == 7
    for name, *cells, cost, _ in shown:
        call = name.strip("| ")
        (one,) = [v for k, v in layers.items() if call in (k, v["call"])]
        half, worst = one["half_power_frequency"], one["worst_rejection_db"]
        alias = f"{worst:.1f}, {one['mean_rejection_db']:.1f} dB" if worst > -110 else "none"
        shares = (one[key] for key in ("shift_error", "overshoot", "border_error"))
        assert [cell.strip("| ") for cell in cells] == [
            "all" if half is None else f"{half:.3f}", alias, *(f"{100 * n:.1f} %" for n in shares)
        ]  # fmt: skip
        assert [cost.strip()] == [row[-2] for row in rows if call in row]


def test_costs_are_of_the_row_meant(example: ModuleType, tmp_path: Path) -> None:
    def row(table: str, label: str, ours: float) -> dict[str, object]:
        times = {"ours": ours, "peer": 9.0, "floor": 2.0}
        contenders = [{"role": role, "minimum": time} for role, time in times.items()]
        return {"table": table, "label": label, "contenders": contenders}

    blur, flc = (f"{name}, float32, NCHW, forward" for name in ("blur_pool2d", "flc_pool2d"))
    cases = [row(blur, "16x64x112x112 3 taps", 3.0), row(blur, "16x64x112x112 4 taps", 5.0)]
    cases += [row(flc, "16x64x112x112 to 56x56", 8.0), row(flc, "16x64x56x56 to 28x28", 1.0)]
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"cases": cases}))
    found = example.costs([path])
    assert found == {"blur, 3 taps": 1.5, "blur, 4 taps": 2.5, "FLC": 4.0}


def test_writes_its_files(
    example: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--size", "32", "--side", "48", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["pooling_responses.py", *words])
    example.main()
    names = ["pooling_responses.json", "pooling_responses.png", "pooling_zone_plate.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [*names, "table.md"]
    layers = json.loads((tmp_path / names[0]).read_text())["layers"]
    assert list(layers) == list(example.POOLS)
    assert all(len(one["gain"]) == 7 and len(one["aliased_energy"]) == 8 for one in layers.values())
    table = (tmp_path / "table.md").read_text()
    assert len(table.splitlines()) == 2 + len(layers)
    assert table in capsys.readouterr().out
    for name in names[1:]:
        with Image.open(tmp_path / name) as picture:
            assert picture.width > 1500
