"""Masks, network and images of a row, by the nodes of the other stages, kept in a work folder.

Nothing here is published: the user's latest images stay the latest. What is finished lies under
fingerprints of all that decides it, so rows share what they can, and a killed run goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch

from defectsynth_pipeline.ablation import estimate
from defectsynth_pipeline.ablation.cost import Network
from defectsynth_pipeline.ablation.rows import Recipe, Row, plainly
from defectsynth_pipeline.fingerprints import code_fingerprint, fingerprint
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.options import ExecutionOptions, MaskOptions, SynthesisOptions
from defectsynth_pipeline.pipelines.controlnet.nodes import cut_crops, finetune_controlnet
from defectsynth_pipeline.pipelines.masks.nodes import generate_masks, measure_area_ratios
from defectsynth_pipeline.pipelines.synthesis import nodes as synthesis
from defectsynth_pipeline.publishing import written_whole
from defectsynth_pipeline.rendering import FinishedSet
from defectsynth_pipeline.schemas import read_table

CLOCK = "seconds.json"


class Made(NamedTuple):
    """Images and their masks."""

    images: ImageSet
    masks: ImageSet

    def every(self) -> Made:
        """The same with the images that the certificate refuses among the others."""
        table = pd.concat([self.images.manifest, self.images.rejected], ignore_index=True)
        return self._replace(images=replace(self.images, manifest=table))


@dataclass(frozen=True)
class Workshop:
    """Where rows are made.

    Attributes:
        base: The base model.
        checkpoints: Of fine-tuning; those of `augment`, so that no network is trained twice.
        folder: Work folder of the ablation.
        recipe: The options of all stages.
        execution: Which processes share the work.
    """

    base: Any
    checkpoints: Path
    folder: Path
    recipe: Recipe
    execution: ExecutionOptions
    _kept: dict[str, Any] = field(default_factory=dict)

    @property
    def clock(self) -> estimate.Clock:
        """What steps took, for the next estimate."""
        return estimate.Clock(self.folder / CLOCK)

    def network(self, samples: pd.DataFrame) -> Network:
        """The network fine-tuned on the base samples."""
        return self._once("network", samples, make=lambda: self._train(samples))

    def certificate(self, samples: pd.DataFrame) -> Any:
        """What judges the images of these samples."""
        return self._once("certificate", samples, make=lambda: self._fit(samples))

    def masks(self, samples: pd.DataFrame, options: MaskOptions) -> ImageSet:
        """Masks; where `hybrid` is one method for all types, that method's."""
        plain = plainly(options, samples)
        return self._once("masks", samples, plain, make=lambda: self._interpolate(samples, plain))

    def images(self, samples: pd.DataFrame, masks: MaskOptions, options: SynthesisOptions) -> Made:
        """Images, with masks made as asked."""
        key = ("images", samples, plainly(masks, samples), options)
        return self._once(*key, make=lambda: self._render(samples, masks, options))

    def row(self, samples: pd.DataFrame, row: Row) -> Made:
        """All images of a row."""
        return self.images(samples, row.masks, row.synthesis).every()

    def generator(self, samples: pd.DataFrame) -> Any:
        """The base model with the networks in place, and the certificate."""
        recipe, certificate = self.recipe, self.certificate(samples)
        network = self.network(samples).model
        given = self.base, network, certificate, recipe.framing
        return synthesis.make_generator(*given, self.execution)

    def plan(
        self, samples: pd.DataFrame, masks: MaskOptions, options: SynthesisOptions
    ) -> pd.DataFrame:
        """The images that would be made, with masks made as asked."""
        made = self.masks(samples, masks)
        engines = self._engines(samples, made, options)
        return synthesis.plan_images(samples, made, engines, options, self.recipe.prompts)

    def _once(self, *what: object, make: Callable[[], Any]) -> Any:
        key = fingerprint(*what)
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def _train(self, samples: pd.DataFrame) -> Network:
        recipe = self.recipe
        crops, key = cut_crops(samples, self.base, recipe.finetune, recipe.framing, recipe.prompts)
        given = self.base, self.checkpoints, recipe.finetune, self.execution
        model, _ = finetune_controlnet(crops, key, *given)
        checkpoint = self.checkpoints / f"{model.meta['key']}.pt"
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        seconds = float(state["seconds"])
        expected = estimate.finetune_seconds(recipe.finetune, state["step"])
        self.clock.note("finetune", expected, seconds)
        return Network(model, seconds)

    def _fit(self, samples: pd.DataFrame) -> Any:
        from defectsynth_pipeline.certificate.certificate import Certificate

        options = self.recipe.synthesis
        seen = samples[samples["split"].isin(["base", "normal"])].drop(columns="root")
        given = options.nulls, options.seed, self.base.fingerprint
        code = code_fingerprint(*synthesis.ROOMS)
        folder = self.folder / "certificates" / fingerprint(seen, *given, code)
        if not folder.is_dir():
            began = time.time()
            found, _ = synthesis.fit_certificate(samples, self.base, options, self.execution)
            with written_whole(folder) as aside:
                aside.mkdir()
                found.save(aside)
            expected = estimate.certificate_seconds(samples, options)
            self.clock.note("certificate", expected, time.time() - began)
        return Certificate.load(folder)

    def _interpolate(self, samples: pd.DataFrame, options: MaskOptions) -> ImageSet:
        ratios, began = measure_area_ratios(samples, options), time.time()
        folder = self.folder / "masks"
        done = generate_masks(samples, ratios, self.base, folder, None, options)
        latent = set(ratios["space"]) == {"latent"}
        step = "latent_masks" if latent else "masks"
        self._note(step, estimate.SECONDS[step], done, began)
        return ImageSet.open(done.folder)

    def _render(
        self, samples: pd.DataFrame, mask_options: MaskOptions, options: SynthesisOptions
    ) -> Made:
        masks, plan = self.masks(samples, mask_options), self.plan(samples, mask_options, options)
        generator, folder, began = self.generator(samples), self.folder / "images", time.time()
        done = synthesis.render_images(plan, samples, masks, generator, folder, options)
        if options.engine == "diffusion":
            self._note("images", estimate.image_seconds(1, options), done, began)
        return Made(ImageSet.open(done.folder), masks)

    def _engines(
        self, samples: pd.DataFrame, masks: ImageSet, options: SynthesisOptions
    ) -> pd.DataFrame:
        code = code_fingerprint(*synthesis.ROOMS, "inspection")
        key = fingerprint(samples.drop(columns="root"), masks.manifest, options, code)
        file = self.folder / "engines" / f"{key}.csv"
        if not file.exists():
            certificate = self.certificate(samples)
            given = samples, masks, certificate, None, options  # nobody looked through its images
            choice, _ = synthesis.choose_engines(*given, self.execution)
            with written_whole(file) as aside:
                choice.to_csv(aside, index=False)
        return read_table(file, "engine_choice")

    def _note(self, step: str, expected: float, done: FinishedSet, began: float) -> None:
        """Note how long what was made just now took: not what an earlier run has left."""
        records = (done.work / "records").glob("*.json")
        made = sum(path.stat().st_mtime >= began for path in records)
        if made:
            self.clock.note(step, expected * made, time.time() - began)
