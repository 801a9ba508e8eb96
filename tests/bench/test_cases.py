"""The list of rows: every operator is in it, each row can be told from the others."""

from collections import Counter
from pathlib import Path

import pytest
import torch

from freqops.bench import layers, peers
from freqops.bench.case import Row
from freqops.bench.cases import operators, rows
from freqops.bench.measurement import compared
from freqops.evaluation import InputError

# An operator's word -> what stands for it, where that is another.
UNDER_ANOTHER = {
    "blur_pool_adjoint": "blur_pool",
    "spectral_correlation": "global_filter",
    "separable": "spectral_pool",
    "fft_filter_padded": "fft_conv",
}
EVERY_ROW = rows()


def test_every_operator_has_rows_some_of_them_quick() -> None:
    import pkgutil

    from freqops import ops

    words = {module.name for module in pkgutil.iter_modules(ops.__path__)}
    words = {word for word in words if not word.startswith("_")}
    assert {UNDER_ANOTHER.get(word, word) for word in words} == set(operators())
    for op, found in operators().items():
        assert any(row.quick for row in found), op
        assert all(row.op == op for row in found)


def test_rows_are_told_apart_by_what_is_compared() -> None:
    """`freqops bench compare` and the memory's process find a row by these words."""
    counts = Counter((row.op, row.table, row.label) for row in EVERY_ROW)
    assert [row for row, count in counts.items() if count > 1] == []


def test_a_quick_run_has_every_curve() -> None:
    axes = Counter(row.point.axis for row in rows(quick=True) if row.point)
    assert set(axes) == {"size", "batch", "radii", "taps"}
    assert min(axes.values()) >= 4


def test_every_row_says_what_it_moves() -> None:
    assert [str(row) for row in EVERY_ROW if not row.moved_bytes] == []


@pytest.mark.parametrize("op", operators())
def test_peers_of_a_small_row_compute_the_same(op: str) -> None:
    """The smallest quick row of each operator, as it is measured."""
    row = min(
        (row for row in rows([op], quick=True)), key=lambda row: torch.Size(row.shape).numel()
    )
    torch.manual_seed(0)
    case, not_compared = compared(row.case())
    assert not_compared == {}
    roles = [one.role for one in case.contenders]
    assert roles[0] == "ours"
    assert "peer" in roles
    assert roles[-1] == "floor"


def test_unknown_operator_is_one_sentence() -> None:
    with pytest.raises(InputError, match=r"ops: must be of band_.*, got 'blur' \(did you"):
        rows(["fft_filter", "blur"])


def test_chosen_operators_in_their_order() -> None:
    assert {row.op for row in rows(["low_high", "flc_pool"])} == {"low_high", "flc_pool"}
    assert rows(["low_high", "flc_pool"])[0].op == "low_high"


def test_layers_are_those_of_the_networks() -> None:
    """Shapes as torchvision's networks have them, whatever the batch."""
    zoo = pytest.importorskip("torchvision.models")
    network = zoo.resnet50().eval()
    seen: dict[str, tuple[int, ...]] = {}
    for name in ("relu", "layer1", "layer3.0.conv1", "layer4.0.conv1"):
        network.get_submodule(name).register_forward_hook(
            lambda module, inputs, y, name=name: seen.update({name: tuple(y.shape)})
        )
    with torch.no_grad():
        network(torch.rand(2, 3, 224, 224))
    assert [layers.layer_of(shape) for shape in seen.values()] == [
        "ResNet stem",
        "ResNet-50 layer1",
        "ResNet-50 layer3.0",
        "ResNet-50 layer4.0",
    ]
    assert layers.layer_of((8, 3, 17, 19)) == layers.layer_of((64, 64)) == ""


# Its outputs' sizes are numbers in a tensor, which no single graph can hold.
NOT_COMPILED = {"diff_stride"}


def test_torch_compile_is_a_peer_of_every_operator_once_a_row() -> None:
    compiled = {row.op for row in EVERY_ROW if row.compiled}
    assert compiled == set(operators()) - NOT_COMPILED
    for op in sorted(compiled):
        row = min(
            (row for row in rows([op]) if row.compiled),
            key=lambda row: torch.Size(row.shape).numel(),
        )
        for compiles in (False, True):
            roles = [
                one.role for one in row.case(compiles=compiles).contenders if one.name == "compiled"
            ]
            assert roles == ["peer"] * compiles, row


def test_peer_that_is_absent_is_named_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    peer = peers.Peer("no-such-peer", ("no_such_peer.fft",), "--no-deps no-such-peer")
    monkeypatch.setitem(peers.PEERS, "no-such-peer", peer)
    assert not peers.has("no-such-peer")
    assert peers.library("no-such-peer") is None
    assert peers.missing()["no-such-peer"] == "pip install --no-deps no-such-peer"


def test_peer_that_breaks_on_import_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "breaks_here.py").write_text("raise RuntimeError('of another torch')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(peers.PEERS, "breaks", peers.Peer("breaks", ("breaks_here",)))
    reason = "installed, cannot be imported: of another torch"
    assert peers.missing()["breaks"] == reason


def test_without_peers_rows_have_fewer_contenders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "has", lambda package: False)
    row: Row = next(row for row in rows(["fft_filter"]) if row.label == "1x1x16x16")
    names = [one.name for one in row.case().contenders]
    assert names == ["freqops", "freqops out=", "torch", "torch in place", "copy"]
