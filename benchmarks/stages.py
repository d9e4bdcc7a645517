"""The benchmark of everything but sampling: masks, alignment, transfer, training, scaling."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import timm
import torch
from detectors import TYPES, make_views, stepper
from masks import procedural_masks, write_samples
from measuring import Call, Material, Row, medians, timed
from networks import accepted
from published import candidates
from scipy import ndimage
from sklearn.linear_model import LogisticRegression

from defectsynth_pipeline.appearance.alignment import align
from defectsynth_pipeline.appearance.batching import batched
from defectsynth_pipeline.appearance.crops import make_crops
from defectsynth_pipeline.appearance.engines import begun, planned_mask
from defectsynth_pipeline.appearance.finetune import _Trainer
from defectsynth_pipeline.appearance.plan import plan_synthesis
from defectsynth_pipeline.appearance.render import render_plan
from defectsynth_pipeline.appearance.transfer import transferred
from defectsynth_pipeline.base_model.loading import BaseModel
from defectsynth_pipeline.certificate.certificate import fit_certificate
from defectsynth_pipeline.certificate.evidence import SIDE, WIDTH
from defectsynth_pipeline.corpora.reading import each_sample
from defectsynth_pipeline.features.encoder import (
    STRIDES,
    feature_levels,
    fold_batch_norms,
    normalised,
)
from defectsynth_pipeline.features.regression import MOST_STEPS, fit_regression
from defectsynth_pipeline.features.weights import TIMM_NAME
from defectsynth_pipeline.imaging.pixels import resize, to_float
from defectsynth_pipeline.inspection.localization import Localization
from defectsynth_pipeline.options import (
    ExecutionOptions,
    FinetuneOptions,
    FramingOptions,
    LocalizationOptions,
    MaskOptions,
    PromptOptions,
    SynthesisOptions,
)
from defectsynth_pipeline.rendering import ImageSetJob, render_set
from defectsynth_pipeline.shape.area import area_ratio_table
from defectsynth_pipeline.shape.parents import load_masks
from defectsynth_pipeline.shape.plan import plan_masks
from defectsynth_pipeline.shape.render import render_masks
from defectsynth_pipeline.shards import spread_over

COUNT = 24  # masks per strategy and size
MATCHED = 2  # masks of the loop over pixels


def masks(base: BaseModel, repeats: int) -> Iterator[Row]:
    """Masks a second of every strategy at two sizes; naive is a loop over pixels."""
    for side in (256, 512):
        with tempfile.TemporaryDirectory() as folder:
            samples = write_samples(Path(folder), procedural_masks(side))
            naive = MATCHED / timed(lambda s=samples: loop_over_pixels(s, MATCHED))
            for name, how in (
                ("distance", {"method": "image"}),
                ("coordinates", {"method": "image", "estimator": "coordinates"}),
                ("geometric", {"method": "geometric"}),
                ("perlin", {"method": "perlin"}),
                ("latent", {"method": "latent"}),
            ):
                options = MaskOptions(count=COUNT, max_side=side, **how)
                plan = plan_masks(samples, area_ratio_table(samples, options), options)
                seconds = timed(lambda g=(plan, samples, options, base): list(render_masks(*g)))
                compared = name in ("distance", "coordinates")
                yield Row(
                    "masks",
                    f"{name}, {side} px",
                    COUNT / seconds,
                    "masks",
                    "pixel by pixel, in Python" if compared else "",
                    naive if compared else None,
                )


def loop_over_pixels(samples: pd.DataFrame, count: int) -> None:
    """Interpolated coordinates rasterised one by one and dilated, as the published loops do."""
    found = [*load_masks(samples).values()]
    for number in range(count):
        first, second = (np.argwhere(found[(number + k) % len(found)]) for k in (0, 1))
        shorter, longer = sorted((first, second), key=len)
        picture = np.zeros(found[0].shape, bool)
        last: list[float] = []
        for i, point in enumerate(longer):
            other = shorter[i * len(shorter) // len(longer)]
            middle = [(a + b) / 2 for a, b in zip(point, other, strict=True)]
            if last and max(abs(a - b) for a, b in zip(middle, last, strict=True)) > 1:
                for step in np.linspace(0, 1, 5):
                    between = [a + step * (b - a) for a, b in zip(last, middle, strict=True)]
                    picture[round(between[0]), round(between[1])] = True
            picture[round(middle[0]), round(middle[1])] = True
            last = middle
        ndimage.binary_dilation(picture, np.ones((5, 5), bool))


def alignments(repeats: int) -> Iterator[Row]:
    """All shifts times 72 turns at once, against 150 motions one by one."""
    for side in (64, 512):
        rows, columns = np.indices((side, side)) / side
        real = np.hypot(rows - 0.3, columns - 0.3) < 0.14
        made = np.hypot(rows - 0.6, 1.4 * (columns - 0.7)) < 0.17

        def one_by_one(real: np.ndarray = real, made: np.ndarray = made, side: int = side) -> float:
            return max(float((m.warp(real) & made).sum()) for m in candidates(side))

        found = medians(
            {"ours": lambda r=real, m=made: align(r, m), "naive": one_by_one},
            repeats if side == 64 else 3,
        )
        yield Row(
            "alignment",
            f"{side} px, every shift x 72 turns",
            1 / found["ours"],
            "alignments",
            "150 motions, one by one",
            1 / found["naive"],
        )


def defects(material: Material, base: BaseModel, repeats: int) -> Iterator[Row]:
    """What begins an image, per engine, and what judges it."""
    by_id = {sample.sample_id: sample for sample in each_sample(material.samples)}
    rows = material.plan.to_dict("records")[:: max(1, len(material.plan) // 12)]
    options = SynthesisOptions()

    def real(name: str) -> tuple[np.ndarray, np.ndarray]:
        return by_id[name].image(), by_id[name].mask()

    made = []
    for row in rows:
        background = by_id[row["background"]].image()
        mask = planned_mask(row, material.masks, real(row["reference"])[1], background.shape[:2])
        made.append((row, background, mask))
    for engine in ("transfer", "patch", "paste"):

        def begin(engine: str = engine) -> None:
            for row, background, mask in made:
                begun(row | {"engine": engine, "severity": 1.0}, background, mask, real, options)

        yield Row("defects", engine, len(made) / medians({"": begin}, 3)[""], "images")
    certificate = fit_certificate(material.samples, nulls=60)
    images = [
        begun(row | {"engine": "transfer"}, background, mask, real, options)
        for row, background, mask in made
    ]

    def judge() -> None:
        for (row, background, mask), image in zip(made, images, strict=True):
            certificate.judge(row["category"], row["defect_type"], image, background, mask)

    yield Row("certificate", "an image judged", len(made) / medians({"": judge}, 3)[""], "images")


def seeing(repeats: int) -> Iterator[Row]:
    """The frozen encoder, and the regressions on its features, of the sizes of a certificate."""
    rng = np.random.default_rng(0)
    windows = rng.integers(0, 256, (16, SIDE, SIDE, 3), dtype=np.uint8)
    plain = timm.create_model(TIMM_NAME, features_only=True, out_indices=tuple(range(len(STRIDES))))
    fold_batch_norms(plain.eval())
    plain = plain.to(memory_format=torch.channels_last).requires_grad_(False)
    calls: dict[str, Call] = {"ours": lambda: feature_levels(windows)}
    found = medians(calls | {"naive": lambda: plain(normalised(windows))}, repeats)
    rates = [len(windows) / found[name] for name in ("ours", "naive")]
    yield Row("encoder", f"16 windows of {SIDE} px", rates[0], "windows",
              "all at once, padded by copies", rates[1])  # fmt: skip
    inputs = rng.normal(size=(1800, WIDTH)).astype(np.float32)
    labels = (inputs[:, :40].sum(1) + rng.normal(0, 3, len(inputs)) > 0).astype(int)
    shares = np.full(len(inputs), 300 / len(inputs))
    naive = LogisticRegression(C=2.0, max_iter=MOST_STEPS)
    calls = {"ours": lambda: fit_regression(inputs, labels, shares, 2)}
    found = medians(calls | {"naive": lambda: naive.fit(inputs, labels, shares)}, 3)
    yield Row("regression", f"{len(inputs)} views of {WIDTH} columns", 1 / found["ours"],
              "regressions", "on all threads", 1 / found["naive"])  # fmt: skip


def training(material: Material, base: BaseModel, repeats: int) -> Iterator[Row]:
    """Optimizer steps a second of the ControlNet and of a detector."""
    options = FinetuneOptions(crops_per_sample=2)
    crops = make_crops(material.samples, base, options, FramingOptions(), PromptOptions())
    with tempfile.TemporaryDirectory() as folder:
        trainer = _Trainer(base, crops, options, Path(folder) / "bench.pt")
        images = torch.rand(options.batch_size, 3, base.resolution, base.resolution) * 2 - 1
        words = ["a photo of a surface"] * options.batch_size

        def cached() -> None:
            trainer.session.step += 1
            trainer.take()

        def anew() -> None:
            base.encode(images)
            for word in words:
                base.embed([word])
            cached()

        found = medians({"ours": cached, "naive": anew}, repeats)
    yield Row(
        "fine-tuning",
        f"batch of {options.batch_size}",
        1 / found["ours"],
        "steps",
        "images and texts encoded at every step",
        1 / found["naive"],
    )
    task = Localization(LocalizationOptions(), "lite0", TYPES)
    step = stepper(task, make_views(256, 16))
    step()
    seconds = float(np.median([step() for _ in range(3)]))
    yield Row("detector", "U-Net, batch of 8 windows of 128 px", 1 / seconds, "steps")


def processes(material: Material, base: BaseModel) -> Iterator[Row]:
    """The same images by one process and by two, of one thread each, their start included."""
    plan = batched(pd.concat([material.plan] * 4, ignore_index=True), 16)
    plan = plan.assign(image_id=[f"image_{i:04d}" for i in range(len(plan))])
    given: dict[str, Any] = {"samples": material.samples, "masks": material.masks, "base": base}
    given |= {"options": SynthesisOptions(), "framing": FramingOptions(), "judge": accepted}
    job = ImageSetJob("0" * 16, plan, partial(render_plan, plan=plan, **given))

    def rendered_by(workers: int) -> None:
        torch.set_num_threads(workers)  # which they share
        with tempfile.TemporaryDirectory() as folder:
            render_set(job, Path(folder), spread_over(ExecutionOptions(workers=workers)))

    threads = torch.get_num_threads()
    found = medians({"2": lambda: rendered_by(2), "1": lambda: rendered_by(1)}, 2)
    torch.set_num_threads(threads)
    yield Row("processes", f"{len(plan)} images by 2 processes of one thread",
              len(plan) / found["2"], "images", "by one", len(plan) / found["1"])  # fmt: skip


def scaling(material: Material, base: BaseModel) -> Iterator[Row]:
    """Cost against the number of images, the resolution, the number of base images."""
    kinds = material.masks.manifest[["category", "defect_type"]].drop_duplicates()
    chosen = kinds.assign(engine="transfer", share=1.0)
    for count in (50, 100, 200):
        options = SynthesisOptions(count=count)
        seconds = timed(
            lambda o=options: plan_synthesis(
                material.samples, material.masks, chosen, o, PromptOptions()
            )
        )
        yield Row("scaling: images", f"planning {count}", count / seconds, "images")
    sample = next(s for s in each_sample(material.samples) if s.split == "base")
    normal = next(s for s in each_sample(material.samples) if s.split == "normal")
    for side in (256, 512, 1024):
        size = (side, side)
        image, good = (resize(to_float(s.image()), size) for s in (sample, normal))
        mask = resize(sample.mask().astype(np.float32), size) > 0.5
        background = np.rint(good * 255).astype(np.uint8)
        seconds = medians({"": lambda b=background, m=mask, i=image: transferred(b, m, i, m)}, 3)[
            ""
        ]
        yield Row("scaling: resolution", f"transfer, {side} px", 1 / seconds, "images")
    base_rows = material.samples["split"] == "base"
    ids = material.samples.loc[base_rows].groupby("defect_type")["sample_id"]
    for number in (2, 5):
        kept = ids.head(number)
        few = material.samples[~base_rows | material.samples["sample_id"].isin(kept)]
        total = len(kept)
        seconds = timed(lambda s=few, n=8 * total: fit_certificate(s, nulls=n))
        yield Row("scaling: base images", f"certificate of {total}", total / seconds, "base images")
