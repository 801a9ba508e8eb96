"""torch.ops.freqops called directly with nonsense: an exception each time, never a crash.

The public functions refuse all of this with a better sentence; these calls go around them.
"""

from typing import Any

import pytest
import torch

import freqops  # noqa: F401  (registers the ops)

OPS = torch.ops.freqops
X = torch.randn(2, 3, 6, 5)
K = torch.randn(6, 3)
BANK = torch.randn(4, 6, 3)

CALLS: list[tuple[str, tuple[Any, ...]]] = [
    # a number of dimensions that is none
    ("fft_filter", (X, K, None, 0)),
    ("fft_filter", (X, K, None, 3)),
    ("fft_filter", (X, K, None, -1)),
    ("fft_filter", (X, K, None, 2**40)),
    ("spectral_correlation", (X, X, 0, 3)),
    # images
    ("fft_filter", (torch.tensor(1.0), K, None, 1)),
    ("fft_filter", (torch.randn(5), K, None, 2)),
    ("fft_filter", (X.int(), K, None, 2)),
    ("fft_filter", (X > 0, K, None, 2)),
    ("fft_filter", (X + 0j, K, None, 2)),
    ("fft_filter", (X[..., :0], torch.randn(6, 1), None, 2)),
    ("fft_filter", (X[:, :, :0], torch.randn(0, 3), None, 2)),
    ("fft_filter", (torch.empty(0), K, None, 2)),
    ("fft_filter", (X[0, 0].to_sparse(), K, None, 2)),
    ("mix_amplitude_phase", (torch.randn(5), torch.randn(5), False)),
    ("mix_amplitude_phase", (X[0, 0], X[0, 0], True)),
    ("mix_amplitude_phase", (X[:, :0], X[:, :0, :0], True)),
    ("spectral_correlation", (torch.tensor(1.0), torch.tensor(1.0), 0, 1)),
    # responses
    ("fft_filter", (X, torch.randn(6, 5), None, 2)),
    ("fft_filter", (X, torch.randn(5, 3), None, 2)),
    ("fft_filter", (X, torch.randn(3), None, 2)),
    ("fft_filter", (X, torch.tensor(1.0), None, 2)),
    ("fft_filter", (X, torch.randn(0, 3), None, 2)),
    ("fft_filter", (X, torch.randn(4, 6, 3), None, 2)),
    ("fft_filter", (X, torch.randn(2, 3, 6, 3), None, 2)),
    ("fft_filter", (X[0, 0], torch.randn(3, 6, 3), None, 2)),
    ("fft_filter", (X, K.double(), None, 2)),
    ("fft_filter", (X.double(), K, None, 2)),
    ("fft_filter", (X, K.half(), None, 2)),
    ("fft_filter", (X, K.long(), None, 2)),
    ("fft_filter", (X, K + 0j, None, 2)),
    ("fft_filter", (X, K, torch.randn(6, 2), 2)),
    ("fft_filter", (X, K, K.double(), 2)),
    ("fft_filter", (X, K, torch.randn(1), 2)),
    ("fft_filter", (X, K, torch.randn(3, 6, 3), 2)),
    ("fft_filter", (X, torch.randn(3, 6, 3), K, 2)),
    ("filter_bank", (X, K, None, 2)),
    ("filter_bank", (X, torch.randn(0, 6, 3), None, 2)),
    ("filter_bank", (X, torch.tensor(1.0), None, 2)),
    ("filter_bank", (X, torch.randn(2, 4, 6, 3), None, 2)),
    ("filter_bank", (X, BANK, BANK[:2], 2)),
    ("filter_bank", (X, BANK, K, 2)),
    ("low_high", (X, K, 2)),
    ("low_high", (X, torch.randn(0, 6, 3), 2)),
    ("split_bands", (X, K, 2)),
    ("split_bands", (X, torch.randn(2, 6, 4), 2)),
    # pairs that do not belong together
    ("filter_bank_adjoint", (X, BANK, None, 2)),
    ("filter_bank_adjoint", (torch.randn(3, 2, 6, 5), BANK, None, 2)),
    ("filter_bank_adjoint", (torch.randn(4, 2, 6, 6), BANK, None, 2)),
    ("filter_bank_adjoint", (torch.randn(4), BANK, None, 2)),
    ("filter_bank_adjoint", (torch.tensor(1.0), torch.tensor(1.0), None, 2)),
    ("filter_bank_adjoint", (torch.randn(0, 2, 6, 5), torch.randn(0, 6, 3), None, 2)),
    ("spectral_correlation", (X, X[:1], 0, 2)),
    ("spectral_correlation", (X, X.double(), 0, 2)),
    ("spectral_correlation", (X, X, 4, 2)),
    ("spectral_correlation", (X, X, -3, 2)),
    ("spectral_correlation", (X[0, 0], X[0, 0], 1, 2)),
    ("spectral_correlation", (X, X, 2**40, 2)),
    ("mix_amplitude_phase", (X, X[:1], False)),
    ("mix_amplitude_phase", (X, X.double(), False)),
    ("mix_amplitude_phase", (X.int(), X.int(), False)),
]


TAPS, OWN = torch.rand(3), torch.rand(3, 3)
Y = torch.randn(2, 3, 3, 3)  # what the blur of X gives
BLUR = ([2, 2], [1, 1, 1, 1], "reflect")
MAX = ([2, 2], [1, 1], *BLUR)
HUGE = 2**62
INDEX = torch.tensor([3, 0])
CALLS += [
    *(
        ("polyphase_norms", arguments)
        for arguments in (
            (X[0, 0], "l2"),
            (X.int(), "l2"),
            (X[..., :0], "l2"),
            (X[:, :0], "l2"),
            (X, "l3"),
        )
    ),
    *(
        ("polyphase_pool", arguments)
        for arguments in (
            (X[0, 0], torch.tensor(0), True),
            (X.int(), INDEX, True),
            (X[..., :0], INDEX, True),
            (X, INDEX.int(), True),
            (X, INDEX[:1], True),
            (X, torch.tensor(0), True),
            (X, torch.tensor([0, 4]), True),
            (X, torch.tensor([-1, 0]), False),
        )
    ),
    *(
        ("polyphase_unpool", arguments)
        for arguments in (
            (X[0, 0], torch.tensor(0), [12, 10], True),
            (X, INDEX, [12], True),
            (X, INDEX, [12, 11], True),
            (X, INDEX, [13, 10], True),
            (X, INDEX, [-12, 10], True),
            (X, INDEX, [HUGE, 10], True),
            (X, INDEX + 2, [12, 10], True),
            (X, INDEX[:1], [12, 10], False),
        )
    ),
    *(
        ("blur_pool", arguments)
        for arguments in (
            (torch.tensor(1.0), TAPS, TAPS, *BLUR),
            (torch.randn(5), TAPS, TAPS, *BLUR),
            (X.int(), TAPS, TAPS, *BLUR),
            (X[..., :0], TAPS, TAPS, *BLUR),
            (X, TAPS.double(), TAPS.double(), *BLUR),
            (X.double(), TAPS, TAPS, *BLUR),
            (X, torch.tensor(1.0), TAPS, *BLUR),
            (X, TAPS[:0], TAPS, *BLUR),
            (X, TAPS, OWN, *BLUR),
            (X, OWN[:2], OWN[:2], *BLUR),
            (X[0, 0], OWN, OWN, *BLUR),
            (X, TAPS, TAPS, [2], [1, 1, 1, 1], "reflect"),
            (X, TAPS, TAPS, [0, 2], [1, 1, 1, 1], "reflect"),
            (X, TAPS, TAPS, [2, -1], [1, 1, 1, 1], "reflect"),
            (X, TAPS, TAPS, [2, HUGE], [HUGE, 1, 1, 1], "reflect"),
            (X, TAPS, TAPS, [2, 2], [1, 1], "reflect"),
            (X, TAPS, TAPS, [2, 2], [-4, 0, 1, 1], "reflect"),
            (X, TAPS, TAPS, [2, 2], [1, 1, HUGE, HUGE], "zeros"),
            (X, TAPS, TAPS, [2, 2], [1, 1, 1, 1], "wrap"),
        )
    ),
    *(
        ("blur_pool_adjoint", arguments)
        for arguments in (
            (Y, TAPS, TAPS, [6, 6], [1, 1], [1, 1, 1, 1], "reflect"),
            (Y, TAPS, TAPS, [6], *BLUR),
            (Y, TAPS, TAPS, [0, 5], *BLUR),
            (Y, TAPS, TAPS, [-6, 5], *BLUR),
            (Y, TAPS, TAPS, [HUGE, 5], *BLUR),
            (Y, TAPS, TAPS, [8, 5], *BLUR),
            (Y, OWN[:2], OWN[:2], [6, 5], *BLUR),
        )
    ),
    *(
        (f"max_blur_pool{end}", (X, *other, *arguments))
        for end, other in (("", ()), ("_select", (X,)), ("_backward", (torch.randn(2, 3, 4, 3),)))
        for arguments in (
            (TAPS, TAPS, [2], [0, 0], *BLUR),
            (TAPS, TAPS, [0, 2], [0, 0], *BLUR),
            (TAPS, TAPS, [9, 2], [0, 0], *BLUR),
            (TAPS, TAPS, [2, 2], [2, 0], *BLUR),
            (TAPS, TAPS, [2, 2], [-1, 0], *BLUR),
            (TAPS, TAPS, [HUGE, 2], [HUGE // 2, 0], *BLUR),
            (TAPS, OWN, *MAX),
            (TAPS.double(), TAPS.double(), *MAX),
            (TAPS, TAPS, [2, 2], [1, 1], [2, 2], [-9, 0, 1, 1], "reflect"),
        )
    ),
    ("max_blur_pool_select", (X, X[:1], TAPS, TAPS, *MAX)),
    ("max_blur_pool_select", (X, X.double(), TAPS, TAPS, *MAX)),
    ("max_blur_pool_backward", (X, X, TAPS, TAPS, *MAX)),
    ("max_blur_pool_backward", (X, Y.double(), TAPS, TAPS, *MAX)),
]

ROWS, COLUMNS = torch.randn(4, 6), torch.randn(3, 5)
OUTER = torch.randn(4 + 6 + 3 + 5)
GAINS = torch.ones(2 + 1, dtype=torch.float64), torch.ones(1 + 1, dtype=torch.float64)
RULE = ("", "half", "forward")
CALLS += [
    *(
        ("separable", arguments)
        for arguments in (
            (X, None, None, None, False),
            (torch.tensor(1.0), None, COLUMNS, None, False),
            (torch.randn(5), ROWS, COLUMNS, None, False),
            (X.int(), ROWS, COLUMNS, None, False),
            (X + 0j, ROWS, COLUMNS, None, False),
            (X[..., :0], None, COLUMNS[:, :0], None, False),
            (X[0, 0].to_sparse(), ROWS, COLUMNS, None, False),
            (X, ROWS.double(), COLUMNS, None, False),
            (X.double(), ROWS, COLUMNS, None, False),
            (X, ROWS, COLUMNS.half(), None, False),
            (X, ROWS[:, :5], COLUMNS, None, False),
            (X, ROWS, torch.randn(3, 6), None, False),
            (X, ROWS[:0], COLUMNS, None, False),
            (X, ROWS, COLUMNS[0], None, False),
            (X, ROWS[None], COLUMNS, None, True),
            (X, torch.tensor(1.0), COLUMNS, None, True),
            (X, ROWS, COLUMNS, OUTER[1:], False),
            (X, ROWS, COLUMNS, OUTER.double(), False),
            (X, ROWS, COLUMNS, OUTER[None], False),
            (X, ROWS, None, OUTER, False),
            (X, None, COLUMNS, OUTER, True),
        )
    ),
    *(
        ("resize_spectrum", arguments)
        for arguments in (
            (torch.tensor(1.0), *GAINS, [4], False),
            (torch.randn(5), *GAINS, [4, 3], False),
            (X.int(), *GAINS, [4, 3], False),
            (X[..., :0], *GAINS, [4, 3], False),
            (X, *GAINS, [], False),
            (X, *GAINS, [2, 4, 3], False),
            (X, *GAINS, [0, 3], False),
            (X, *GAINS, [4, -3], False),
            (X, *GAINS, [HUGE, 3], False),
            (X, *GAINS, [HUGE, HUGE], True),
            (X, *GAINS, [6, 3], False),
            (X, *GAINS, [4, 5], False),
            (X, GAINS[0].float(), GAINS[1], [4, 3], False),
            (X, GAINS[0], GAINS[1].half(), [4, 3], False),
            (X, GAINS[0][None], GAINS[1], [4, 3], False),
            (X, GAINS[0], torch.tensor(1.0, dtype=torch.float64), [4, 3], False),
            (X, GAINS[0][:0], GAINS[1], [4, 3], False),
        )
    ),
    *(
        (name, arguments)
        for name in ("spectral_pool", "spectral_pool_adjoint")
        for arguments in (
            (torch.tensor(1.0), [1], *RULE),
            (torch.randn(5), [4, 3], *RULE),
            (X.int(), [4, 3], *RULE),
            (X + 0j, [4, 3], *RULE),
            (X[:, :, :0], [4, 3], *RULE),
            (X[0, 0].to_sparse(), [4, 3], *RULE),
            (X, [], *RULE),
            (X, [2, 4, 3], *RULE),
            (X, [4, 0], *RULE),
            (X, [-4, 3], *RULE),
            (X, [HUGE, 3], *RULE),
            (X, [4, 3], "hann", "half", "forward"),
            (X, [4, 3], "", "neg", "forward"),
            (X, [4, 3], "", "half", "unitary"),
        )
    ),
]

W4, Y4 = torch.randn(6, 3, 2, 3), torch.randn(2, 6, 5, 3)  # of X: [2, 3, 6, 5]
CONV = ([1, 1], [0, 0], [1, 1], 1, [], [], 0.0)
CALLS += [
    *(
        ("fft_conv", arguments)
        for arguments in (
            (X[0], W4, [5, 3], *CONV),
            (X, W4[0], [5, 3], *CONV),
            (X.int(), W4, [5, 3], *CONV),
            (X, W4 + 0j, [5, 3], *CONV),
            (X[0, 0].to_sparse(), W4, [5, 3], *CONV),
            (X[..., :0], W4, [5, 3], *CONV),
            (X, W4[..., :0], [5, 3], *CONV),
            (X, W4[:, :2], [5, 3], *CONV),
            (X, W4, [5], *CONV),
            (X, W4, [5, 0], *CONV),
            (X, W4, [5, HUGE], *CONV),
            (X, W4, [5, 3], [], [], [], 1, [], [], 0.0),
            (X, W4, [5, 3], [0, 1], *CONV[1:]),
            (X, W4, [5, 3], [HUGE, 1], *CONV[1:]),
            (X, W4, [5, 3], [1, 1], [-1, 0], *CONV[2:]),
            (X, W4, [5, 3], [1, 1], [HUGE, 0], *CONV[2:]),
            (X, W4, [5, 3], *CONV[:2], [1, 0], *CONV[3:]),
            (X, W4, [5, 3], *CONV[:3], 0, *CONV[4:]),
            (X, W4, [5, 3], *CONV[:3], 2, *CONV[4:]),
            (X, W4, [5, 3], *CONV[:3], 3, *CONV[4:]),
            (X, W4, [5, 3], *CONV[:4], [6], [], 0.0),
            (X, W4, [5, 3], *CONV[:4], [5, 5], [], 0.0),
            (X, W4, [5, 3], *CONV[:4], [HUGE, 5], [], 0.0),
            (X, W4, [5, 3], *CONV[:4], [], [2], 0.0),
            (X, W4, [5, 3], *CONV[:4], [], [-1, 2], 0.0),
            (X, W4, [5, 3], *CONV[:4], [], [], 1.0),
            (X, W4, [5, 3], *CONV[:4], [], [], -0.5),
            (X, W4, [5, 3], *CONV[:4], [], [], float("nan")),
        )
    ),
    ("fft_conv_adjoint", (Y4[:, :5], W4, [6, 5], *CONV)),
    ("fft_conv_adjoint", (Y4, W4, [6, HUGE], *CONV)),
    ("fft_conv_adjoint", (Y4, W4, [6, 5], *CONV[:3], 4, *CONV[4:])),
    ("fft_conv_correlation", (X, Y4[:1], [2, 3], *CONV)),
    ("fft_conv_correlation", (X, Y4, [2, 3], *CONV[:3], 2, *CONV[4:])),
    ("fft_conv_correlation", (X, Y4, [HUGE, 3], *CONV)),
]


@pytest.mark.sanitizer
@pytest.mark.parametrize("number", range(len(CALLS)), ids=lambda n: f"{n}-{CALLS[n][0]}")
@pytest.mark.parametrize("recorded", [False, True])
def test_raises(number: int, recorded: bool) -> None:
    name, arguments = CALLS[number]
    if recorded:
        arguments = tuple(
            value.clone().requires_grad_()
            if isinstance(value, torch.Tensor) and value.is_floating_point()
            else value
            for value in arguments
        )
    with pytest.raises(RuntimeError):
        getattr(OPS, name)(*arguments)


@pytest.mark.sanitizer
@pytest.mark.parametrize(
    "out",
    [
        torch.empty(2, 3, 6, 4),
        torch.empty(2, 3, 6),
        torch.empty(2, 3, 6, 5, dtype=torch.float64),
        torch.empty(2, 3, 6, 5, dtype=torch.int32),
        torch.empty(0),
    ],
)
def test_out_of_another_kind_raises(out: torch.Tensor) -> None:
    with pytest.raises(RuntimeError):
        OPS.fft_filter.out(X, K, None, 2, out=out)
    right = torch.empty(1, *X.shape)
    for pair in ((out, right), (right, out), (out[None], right), (right, out[None])):
        with pytest.raises(RuntimeError):
            OPS.low_high.out(X, K[None], 2, low=pair[0], high=pair[1])
