from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.inspection.training import History, count_steps, train
from defectsynth_pipeline.options import TrainingOptions

OPTIONS = TrainingOptions(steps=12, learning_rate=0.05, checkpoint_every=5, validate_every=4)


def small_model() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2)
    )


def batch(step: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    labels = torch.randint(0, 2, (8,), generator=generator)
    inputs = torch.randn((8, 3, 8, 8), generator=generator)
    inputs[:, 0] += 2.0 * labels[:, None, None]
    return inputs, labels


def run(
    folder: Path,
    model: nn.Module,
    steps: int = 12,
    *,
    draw: Callable[[int], tuple[Tensor, Tensor]] = batch,
    on_metrics: Callable[[int, dict[str, float]], None] = lambda step, values: None,
    **more: Any,
) -> History:
    path = folder / "key.pt"
    return train(model, draw, F.cross_entropy, OPTIONS, steps, path, on_metrics, **more)


def test_steps_or_epochs() -> None:
    assert count_steps(OPTIONS, 100) == 12
    epochs = TrainingOptions(steps=None, epochs=3, batch_size=8)
    assert count_steps(epochs, 20) == 9


def test_it_learns_and_reports(tmp_path: Path) -> None:
    points: list[int] = []
    history = run(tmp_path, small_model(), 60, on_metrics=lambda step, values: points.append(step))
    losses = [row["loss"] for row in history.rows]
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
    assert points == [row["step"] for row in history.rows]
    assert points[-1] == 60


def test_the_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    models = [small_model(), small_model()]
    for place, model in enumerate(models):
        run(tmp_path / str(place), model)
    first, second = (model.state_dict() for model in models)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_killed_training_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    whole, killed, resumed = small_model(), small_model(), small_model()
    expected = run(tmp_path / "whole", whole, judge=liking)

    def dying(step: int) -> tuple[Tensor, Tensor]:
        if step == 11:
            raise KeyboardInterrupt
        return batch(step)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", killed, draw=dying, judge=liking)
    history = run(tmp_path / "cut", resumed, judge=liking)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert history.rows == expected.rows
    assert history.best["far"].step == expected.best["far"].step


def liking(model: nn.Module) -> dict[str, float]:
    """Likes weights far from zero."""
    weight = next(model.parameters())
    return {"far": weight.abs().sum().item(), "near": -weight.abs().sum().item()}


def test_the_best_weights_are_kept_by_criterion(tmp_path: Path) -> None:
    seen: dict[int, float] = {}

    def note(step: int, values: dict[str, float]) -> None:
        if "near" in values:
            seen[step] = values["near"]

    history = run(tmp_path, small_model(), judge=liking, on_metrics=note)
    assert list(seen) == [4, 8, 12]
    best = history.best["near"]
    assert best.step == max(seen, key=lambda step: seen[step])
    assert best.state["0.weight"].abs().sum().item() == pytest.approx(-max(seen.values()))


def test_no_gain_ends_a_training_early(tmp_path: Path) -> None:
    scores = iter([0.3, 0.5, 0.4, 0.5, 0.9])
    history = run(
        tmp_path,
        small_model(),
        20,
        judge=lambda model: {"score": next(scores)},
        judge_every=2,
        patience=2,
    )
    assert history.rows[-1]["step"] == 8
    assert history.best["score"].step == 4


def test_what_is_left_is_the_average_of_the_last_weights(tmp_path: Path) -> None:
    model, seen = small_model(), []

    def noting(step: int) -> tuple[Tensor, Tensor]:
        seen.append(model.state_dict()["0.weight"].clone())
        return batch(step)

    def average_over(share: float) -> Tensor:
        seen.clear()
        model.load_state_dict(small_model().state_dict())
        options = OPTIONS.model_copy(update={"average": share})
        path = tmp_path / f"{share}.pt"
        train(model, noting, F.cross_entropy, options, 40, path, lambda *_: None)
        return model.state_dict()["0.weight"].clone()

    last = average_over(0.0)
    settled = average_over(0.25)
    assert not torch.equal(last, settled)
    assert (settled - seen[-10]).norm() < (last - seen[-10]).norm()


def test_a_pretrained_part_learns_more_slowly(tmp_path: Path) -> None:
    moved = []
    for rate in (1.0, 0.01):
        model = small_model()
        before = model[0].weight.detach().clone()
        options = OPTIONS.model_copy(update={"encoder_rate": rate, "average": 0.0})
        path = tmp_path / f"{rate}.pt"
        train(model, batch, F.cross_entropy, options, 5, path, lambda *_: None, pretrained=model[0])
        moved.append(float((model[0].weight.detach() - before).norm()))
    assert moved[1] < 0.1 * moved[0]


def test_a_loss_that_is_not_a_number_stops_and_keeps_a_checkpoint(tmp_path: Path) -> None:
    def broken(step: int) -> tuple[Tensor, Tensor]:
        inputs, targets = batch(step)
        return (inputs * float("nan") if step == 7 else inputs), targets

    with pytest.raises(InputError, match=r"not a number \(plate, arm base, seed 1\)") as caught:
        run(tmp_path, small_model(), draw=broken, name="plate, arm base, seed 1")
    assert "step 7" in str(caught.value)
    assert "learning_rate" in caught.value.remedy
    state = torch.load(tmp_path / "key.pt", weights_only=True)
    assert state["step"] == 5
    assert all(value.isfinite().all() for value in state["model"].values())
