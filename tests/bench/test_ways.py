"""What a row's ways become: gradients, layouts, inputs in turn, the copy."""

import pytest
import torch

from freqops.bench import measurement, ways
from freqops.bench.case import Row
from freqops.bench.ways import Way, contenders


def double(x: torch.Tensor) -> torch.Tensor:
    return 2 * x


def test_gradients_are_of_the_input_and_of_what_else_is_learned() -> None:
    x, factor = torch.rand(3), torch.tensor(3.0, requires_grad=True)
    both = [Way("a", lambda x: factor * x, "ours"), Way("b", lambda x: x * factor)]
    first, second, _ = contenders(both, x, 12, backward=True, leaves=[factor])
    for one in (first, second):
        y, of_x, of_factor = one.result()
        torch.testing.assert_close(y, 3 * x)
        upstream = of_x / 3
        torch.testing.assert_close(of_factor, (upstream * x).sum())


def test_inputs_take_turns_where_the_row_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.rand(64)
    monkeypatch.setattr(ways, "cache_bytes", lambda device: 2 * x.nbytes)
    seen: list[int] = []

    def noted(x: torch.Tensor) -> torch.Tensor:
        seen.append(x.data_ptr())
        return 2 * x

    (still, _), (turning, floor) = (
        contenders([Way("a", noted, "ours")], x, 8, rotated=rotated) for rotated in (False, True)
    )
    for _ in range(5):
        still.run()
    assert set(seen) == {x.data_ptr()}
    seen.clear()
    for _ in range(5):
        turning.run()
    assert len(set(seen)) == 4
    assert seen[4] == seen[0]
    torch.testing.assert_close(turning.result(), 2 * x)
    assert floor.role == "floor"


def test_own_floor_takes_the_place_of_the_copy() -> None:
    ways_of_row = [Way("a", double, "ours"), Way("copy", lambda x: x.clone(), "floor")]
    made = contenders(ways_of_row, torch.rand(3), 24)
    assert [one.name for one in made] == ["a", "copy"]
    assert made[1].run().shape == (3,)


def test_another_function_that_raises_is_not_compared() -> None:
    """Nor is it the row's failure, in gradients either, whose sizes it is asked for before."""

    def broken(x: torch.Tensor) -> torch.Tensor:
        raise ValueError("of another torch")

    ways_of_row = [Way("a", double, "ours"), Way("b", broken, "other")]
    row = Row(
        "fft_filter",
        "table",
        "4",
        (4,),
        lambda: contenders(ways_of_row, torch.rand(4), 24, backward=True),
    )
    record = measurement.measured(row, measurement.Settings(seconds=0, least_rounds=1))
    assert record["not_compared"] == {"b": "does not run: of another torch"}
    assert [entry["name"] for entry in record["contenders"]] == ["a", "copy"]
