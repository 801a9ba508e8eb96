"""What a terminal shows of a result: losses, failures, what is not certain."""

from typing import Any

import pytest
from bench_results import ENVIRONMENT, made_up, made_up_row
from rich.console import Console

from freqops.bench import comparison, screen


def shown(thing: Any, width: int = 140) -> list[str]:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(thing)
    return capture.get().splitlines()


def table(*rows: dict[str, Any], width: int = 140) -> list[str]:
    return shown(screen.op_table(rows, ENVIRONMENT, width), width)


def test_row_names_ours_the_best_peer_the_ratio_and_the_copy() -> None:
    row = made_up_row(freqops=1.0, torch=5.0, scipy=4.0, average=0.1, copy=0.5)
    head, heading, line, *_ = table(row)
    assert " ".join(head.split()) == "blur_pool layer freqops ms best peer ms ratio of copy"
    assert heading.strip() == "blur_pool2d, float32, forward"
    shown_line = "2x64x56x56 ResNet-18 layer1 0.9 scipy 3.6 4.00x 50%"
    assert " ".join(line.split()) == shown_line


@pytest.mark.parametrize("width", [60, 79, 80, 120])
def test_narrow_terminals_cut_no_number(width: int) -> None:
    """Below 80 the copy's share goes, and words fold."""
    lost = made_up_row(freqops=123.4, copy=9.0, **{"matmul, corner": 116.2})
    lines = table(lost, width=width)
    text = "\n".join(lines)
    assert max(map(len, lines)) <= width
    for words in ("2x64x56x56", "111", "matmul,", "corner", "105", "0.94x", "LOSS"):
        assert words in text
    assert ("of copy" in text) == (width >= 80)


def test_losses_and_wide_spreads_are_marked() -> None:
    lost = made_up_row(freqops=2.0, torch=1.5, copy=0.5)
    wide = made_up_row(label="3x64x56x56")
    wide["contenders"][0]["median"] *= 1.5
    lines = table(lost, wide)
    assert lines[2].split()[-3:] == ["0.75x", "25%", "LOSS"]
    assert lines[3].split()[-3:] == ["4.00x", "50%", "~"]


def test_row_without_a_peer_and_one_that_failed() -> None:
    alone = made_up_row(freqops=2.0, copy=0.5)
    failed = {**made_up_row(label="3x8"), "contenders": [], "failed": "no kernel image"}
    lines = table(alone, failed)
    assert "no peer here" in lines[2]
    assert "25%" in lines[2]
    assert lines[3].split() == ["3x8", "FAILED"]


@pytest.mark.parametrize("width", [80, 104, 132, 200])
def test_numbers_fit_the_terminal(width: int) -> None:
    """A narrow one is spared the layers, and loses no number."""
    row = made_up_row(freqops=12.3, **{"torch without angles": 456.0}, copy=0.5)
    line = table(row, width=width)[2]
    assert len(line) <= width
    for word in ("2x64x56x56", "11.1", "torch", "410", "37.1x", "4%"):
        assert word in line
    assert ("torch without angles" in line) == (width >= 104)
    assert ("ResNet-18" in line) == (width >= 132)


def test_summary_counts_names_losses_and_who_was_left_out(result: dict[str, Any]) -> None:
    result["cases"][0]["not_compared"] = {"kornia": "differ by 1.0e+00"}
    text = "\n".join(screen.summary(result))
    assert "in 13 of 14 rows, slower in 1;" in text
    assert "LOSS blur_pool2d, float32, forward, 2x3x7x7: 0.75x of torch" in text
    name = "kornia in blur_pool2d, float32, forward, 2x64x56x56"
    assert f"Not compared: {name}: differ by 1.0e+00" in text
    assert "FAILED blur_pool2d, float32, forward, 9x9: no kernel" in text
    assert "~ in" not in text
    uncertain = made_up(made_up_row(), made_up_row(label="3x8"))
    uncertain["cases"][0]["contenders"][0]["median"] *= 1.5
    assert "~ in 1 of 2 rows" in "\n".join(screen.summary(uncertain))


def test_summary_says_where_the_machine_was_not_quiet() -> None:
    rows = [made_up_row(label=f"{n}x8", spread=0.4) for n in (1, 2)]
    assert "quartiles are 40%" in "\n".join(screen.summary(made_up(*rows)))
    assert "not quiet" not in "\n".join(screen.summary(made_up(rows[0], made_up_row(spread=0.02))))


def test_comparison_says_how_far_what_is_not_ours_moved() -> None:
    before = [made_up_row(label=f"{n}x8") for n in range(1, 9)]
    after = [made_up_row(label=f"{n}x8", freqops=1.0, torch=4.0, copy=n / 8) for n in range(1, 9)]
    found = comparison.compare(made_up(*before), made_up(*after))
    assert found.scatter > 0.1
    text = "\n".join(screen.comparison_summary(found))
    assert "no change of ours below twice that counts" in text


def test_comparison_names_what_became_slower() -> None:
    before = made_up(made_up_row(), made_up_row(label="3x8"))
    after = made_up(made_up_row(), made_up_row(label="3x8", freqops=1.5, torch=4.0, copy=0.5))
    found = comparison.compare(before, after)
    lines = shown(screen.comparison_table(found))
    (line,) = [line for line in lines if "3x8" in line]
    assert line.split()[-5:] == ["1", "1.5", "+50.0%", "5.0%", "SLOWER"]
    text = "\n".join(screen.comparison_summary(found))
    assert "2 times compared: 1 slower, 0 faster" in text
    assert "Peers and copies changed by +0.0% (median of 4)" in text
