"""The combination of adapters: against sums by hand, and against what PEFT makes of the same matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from app.worker.merge.combination import Array, Factors, combined, decomposed

INPUTS, OUTPUTS = 12, 9


def factors(rank: int, seed: int) -> Factors:
    random = np.random.default_rng(seed)
    return Factors(
        random.standard_normal((INPUTS, rank), np.float32), random.standard_normal((rank, OUTPUTS), np.float32)
    )


def merge(parts: list[Factors], weights: list[float], method: str, **more: Any) -> Factors:
    asked: dict[str, Any] = {"density": 0.5, "rank": None, "random": np.random.default_rng(0)}
    return combined(parts, weights, method, **asked | more)


def test_linear_is_the_weighted_sum_whatever_the_ranks() -> None:
    parts = [factors(2, 1), factors(4, 2), factors(3, 3)]
    found = merge(parts, [0.5, -0.25, 2.0], "linear")
    wanted = 0.5 * parts[0].product() - 0.25 * parts[1].product() + 2 * parts[2].product()
    assert found.rank == 9
    assert np.allclose(found.product(), wanted, atol=1e-5)


def test_cut_to_a_rank_it_is_the_nearest_of_that_rank() -> None:
    """Eckart and Young: what is left out are the smallest singular values."""
    parts = [factors(3, 1), factors(3, 2)]
    whole = parts[0].product() + parts[1].product()
    found = merge(parts, [1.0, 1.0], "linear", rank=2)
    singular = np.linalg.svd(whole, compute_uv=False)
    assert found.rank == 2
    assert np.linalg.norm(whole - found.product()) == pytest.approx(np.sqrt((singular[2:] ** 2).sum()), rel=1e-4)


def test_ties_by_hand() -> None:
    """Two changes of a 2 × 2 matrix; each keeps its two largest entries, and signs are elected by the sum."""
    one, other = np.array([[4, 1], [-3, 2]], np.float32), np.array([[-2, 5], [-1, 6]], np.float32)
    identity = np.eye(2, dtype=np.float32)
    found = merge([Factors(one, identity), Factors(other, identity)], [0.5, 2.0], "ties", rank=2)
    # Kept: 4 and −3 of the first, 5 and 6 of the second. No entry has both, so each is its own weighted value.
    assert np.allclose(found.product(), [[2.0, 10.0], [-1.5, 12.0]], atol=1e-5)
    both = merge([Factors(one, identity), Factors(other, identity)], [0.5, 2.0], "ties", rank=2, density=1.0)
    # 4 − 2 = 2: plus wins, 0.5·4; 1 + 5: the mean of 0.5 and 10; −3 − 1: of −1.5 and −2; 2 + 6: of 1 and 12.
    assert np.allclose(both.product(), [[2.0, 5.25], [-1.75, 6.5]], atol=1e-5)


def test_dare_keeps_the_sum_in_the_mean_and_draws_the_same_by_the_same_seed() -> None:
    part = factors(4, 1)
    spread = np.abs(part.product()) / np.sqrt(400)  # of the mean of 400, each 0 or twice the entry
    means = np.mean(
        [
            merge([part], [1.0], "dare_linear", rank=9, random=np.random.default_rng(n)).product()
            for n in range(400)
        ],
        axis=0,
    )
    assert (np.abs(means - part.product()) < 5 * spread + 1e-5).all()
    again = [merge([part], [1.0], "dare_ties", rank=9, random=np.random.default_rng(7)).product() for _ in range(2)]
    assert np.array_equal(again[0], again[1])
    whole = merge([part, part], [1.0, 1.0], "dare_linear", rank=4, density=1.0)
    assert np.allclose(whole.product(), 2 * part.product(), atol=1e-4)


def test_experts_are_merged_one_by_one() -> None:
    random = np.random.default_rng(0)
    parts = [
        Factors(
            random.standard_normal((3, INPUTS, rank), np.float32),
            random.standard_normal((3, rank, OUTPUTS), np.float32),
        )
        for rank in (2, 3)
    ]
    found = merge(parts, [1.0, 2.0], "linear")
    assert np.allclose(found.product()[1], parts[0].product()[1] + 2 * parts[1].product()[1], atol=1e-5)
    assert merge(parts, [1.0, 2.0], "ties").product().shape == (3, INPUTS, OUTPUTS)


def test_a_large_matrix_is_cut_as_well_as_the_best_of_that_rank() -> None:
    random = np.random.default_rng(0)
    spectrum = 0.9 ** np.arange(1100, dtype=np.float32)
    left, _ = np.linalg.qr(random.standard_normal((1200, 1100)).astype(np.float32))
    right, _ = np.linalg.qr(random.standard_normal((1100, 1100)).astype(np.float32))
    matrix: Array = (left * spectrum) @ right.T
    found = decomposed(matrix, 8, random)
    best = float(np.sqrt((spectrum[8:] ** 2).sum()))
    assert np.linalg.norm(matrix - found.product()) < 1.001 * best


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("method", "theirs", "rank", "density"),
    [("linear", "cat", None, 0.5), ("linear", "svd", 3, 0.5), ("ties", "ties_svd", 5, 0.4),
     ("ties", "ties_svd", 5, 1.0),
     ("dare_linear", "dare_linear_svd", 5, 1.0), ("dare_ties", "dare_ties_svd", 5, 1.0)],
)  # fmt: skip
def test_peft_makes_the_same_of_them(method: str, theirs: str, rank: int | None, density: float) -> None:
    """With a density of 1 also of DARE, whose drawing is each library's own."""
    import torch
    from peft import LoraConfig, get_peft_model

    parts, weights = [factors(4, 1), factors(4, 2)], [0.7, -0.3] if method == "linear" else [0.7, 0.3]
    base = torch.nn.Sequential(torch.nn.Linear(INPUTS, OUTPUTS, bias=False))
    model: Any = get_peft_model(base, LoraConfig(r=4, lora_alpha=4, target_modules=["0"]), adapter_name="a0")
    model.add_adapter("a1", LoraConfig(r=4, lora_alpha=4, target_modules=["0"]))
    layer = model.base_model.model[0]
    with torch.no_grad():
        for number, part in enumerate(parts):
            layer.lora_A[f"a{number}"].weight.copy_(torch.tensor(part.first.T))
            layer.lora_B[f"a{number}"].weight.copy_(torch.tensor(part.second.T))
    model.add_weighted_adapter(["a0", "a1"], weights, "m", combination_type=theirs, svd_rank=rank, density=density)
    wanted = (layer.lora_B["m"].weight @ layer.lora_A["m"].weight * layer.scaling["m"]).detach().numpy().T
    found = merge(parts, weights, method, rank=rank, density=density)
    assert np.abs(found.product() - wanted).max() < 1e-4
