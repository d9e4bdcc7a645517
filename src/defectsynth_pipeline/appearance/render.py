"""From plan to pictures: regions, denoising in batches, fusion in groups, composition."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import ndimage
from torch import Tensor

from defectsynth_pipeline.appearance.alignment import Alignment, align
from defectsynth_pipeline.appearance.compose import compose, contrast
from defectsynth_pipeline.appearance.engines import (
    Judged,
    Made,
    begun,
    carried_strip,
    planned_mask,
)
from defectsynth_pipeline.appearance.framing import frame_like, framing_sizes, roi_frame
from defectsynth_pipeline.appearance.fusion import fuse
from defectsynth_pipeline.appearance.plan import DIFFUSION, DRAWN, PASTE, redrawer
from defectsynth_pipeline.appearance.sampler import Regions, denoise_regions
from defectsynth_pipeline.base_model.denoising import latent_masks
from defectsynth_pipeline.base_model.loading import BaseModel
from defectsynth_pipeline.corpora.reading import Sample, each_sample
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.imaging.pixels import crop, full_scale, to_float
from defectsynth_pipeline.imaging.rectangle import Rectangle
from defectsynth_pipeline.options import FramingOptions, SynthesisOptions
from defectsynth_pipeline.rendering import Rendered

logger = logging.getLogger(__name__)
# The certainty of a good start is 1 but for chance, and cannot tell whether it was bettered.
_NEARER = 0.97  # of the start's distance from real defects, at which a change is kept


def render_plan(
    missing: pd.DataFrame,
    plan: pd.DataFrame,
    *,
    samples: pd.DataFrame,
    masks: ImageSet,
    base: BaseModel,
    options: SynthesisOptions,
    framing: FramingOptions,
    judge: Callable[[Made], Judged],
) -> Iterator[Rendered]:
    """Yield the missing images; each depends on its own batch of the plan alone.

    What the judge does not accept is drawn and made anew, `options.attempts` times in all; then
    the last attempt is given as rejected.

    Args:
        missing: Rows of the plan still to be made; their whole batches are rendered.
        plan: The whole plan.
        samples: Real images; only base and normal ones are read.
        masks: Generated masks.
        base: Base model with the fine-tuned networks attached.
        options: Sampler, attention, fusion and composition.
        framing: As in fine-tuning.
        judge: Says whether an image may be published.
    """
    alone = int((plan.groupby("group")["image_id"].transform("size") == 1).sum())
    if options.sff.enabled and alone:
        logger.info("SFF changes nothing in %d of %d images: alone in a group", alone, len(plan))
    make = region_maker(samples, masks, base, options, framing)
    redraw = redrawer(samples, masks, options.placement)
    wanted = set(missing["image_id"])
    for _, chunk in plan[plan["batch"].isin(missing["batch"])].groupby("batch", sort=False):
        # Fusion goes in turn, and a batch's last bits by its order: both must be the plan's own.
        ordered = chunk.sort_values("image_id").groupby("group")
        left = [list(rows.itertuples(index=False)) for _, rows in ordered]
        for attempt in range(options.attempts):
            regions = [
                [make(row._replace(**redraw(row, attempt))) for row in rows] for rows in left
            ]
            refused = set()
            for region, image in _images(regions, base, options):
                row = region.row
                kept, judged, changed = _better(region, image, judge)
                last = attempt == options.attempts - 1
                if not judged.accepted and not last:
                    refused.add(row.image_id)
                elif row.image_id in wanted:
                    told = {name: getattr(row, name) for name in DRAWN} | judged.record
                    told |= _record(region, kept, base) | {"network": changed}
                    told |= {"attempts": attempt + 1, "mask_pixels": int(judged.mask.sum())}
                    pictures = {"image": kept, "mask": judged.mask}
                    yield Rendered(row.image_id, pictures, told, rejected=not judged.accepted)
            again = [[row for row in rows if row.image_id in refused] for rows in left]
            left = [rows for rows in again if rows]
            if not left:
                break


def _images(
    groups: list[list[Region]], base: BaseModel, options: SynthesisOptions
) -> Iterator[tuple[Region, np.ndarray | None]]:
    """Every region with what the network made of it; None where the engine has none."""
    drawn = [rows for rows in groups if rows[0].row.engine != PASTE]
    regions = [region for rows in drawn for region in rows]
    if regions:
        latents = _denoise(regions, base, options)
        latents = _fuse(latents, regions, [len(rows) for rows in drawn], options)
        yield from _compose(latents, regions, base, options)
    yield from ((region, None) for rows in groups for region in rows if region.row.engine == PASTE)


def _better(
    region: Region, image: np.ndarray | None, judge: Callable[[Made], Judged]
) -> tuple[np.ndarray, Judged, bool]:
    """The image to keep, what is said of it, and whether the network's change is in it."""
    row, about = region.row, (region.background, region.mask)
    if image is not None and row.engine == DIFFUSION:
        return image, judge(Made(row, image, *about)), True
    start = judge(Made(row, region.begun, *about))
    if image is not None:
        changed = judge(Made(row, image, *about))
        nearer = changed.unlike < _NEARER * start.unlike
        if changed.accepted and (nearer or not start.accepted):
            return image, changed, True
    return region.begun, start, False


def _record(region: Region, image: np.ndarray, base: BaseModel) -> dict[str, Any]:
    """Columns of the manifest that say where an image is from and how it differs."""
    mask, collar = region.mask, region.reach
    differs = (image != region.background).reshape(*mask.shape, -1).any(-1)
    around = Rectangle.around(mask, math.ceil(collar)).slices
    near = np.zeros_like(mask)
    near[around] = ndimage.distance_transform_edt(~mask[around]) <= collar
    return {
        "contrast": contrast(to_float(image), mask),
        "collar": collar,
        "pixels_outside_collar": int((differs & ~near).sum()),
        "overlap": region.alignment.overlap / max(float(region.cover.sum()), 1e-6),
        "frame_x": region.frame.left,
        "frame_y": region.frame.top,
        "frame_width": region.frame.width,
        "frame_height": region.frame.height,
        "resolution": len(region.cover),
        "model": base.fingerprint,
    }


def _stack(images: list[np.ndarray]) -> Tensor:
    """Return (B, 3, H, W) in [-1, 1] of images (H, W, 3) in [0, 1]."""
    return torch.from_numpy(np.stack(images).astype(np.float32)).permute(0, 3, 1, 2) * 2 - 1


def _cover(regions: list[Region]) -> Tensor:
    return torch.from_numpy(np.stack([r.cover for r in regions])[:, None].astype(np.float32))


def _denoise(regions: list[Region], base: BaseModel, options: SynthesisOptions) -> Tensor:
    parts = []
    for i in range(0, len(regions), options.batch_size):
        batch = regions[i : i + options.batch_size]
        parts.append(denoise_regions(base, _regions(batch, base, options), options))
    return torch.cat(parts)


def _regions(batch: list[Region], base: BaseModel, options: SynthesisOptions) -> Regions:
    references = None
    if options.sae.enabled:
        encoded = base.encode(_stack([r.reference for r in batch]))
        factor = 1 / base.latent_factor
        aligned = [
            r.alignment.motion.scaled(factor).warp(z.float().cpu(), fill="edge")
            for r, z in zip(batch, encoded, strict=True)
        ]
        references = torch.stack(aligned).to(base.device, base.dtype)
    return Regions(
        start=_stack([r.start for r in batch]).to(base.device, base.dtype),
        background=_stack([r.seen for r in batch]).to(base.device, base.dtype),
        masks=_cover(batch).to(base.device, base.dtype),
        references=references,
        text=base.embed([r.row.prompt for r in batch]),
        negative=base.embed([r.row.normal_prompt for r in batch]),
        seeds=[int(r.row.seed) for r in batch],
    )


def _fuse(
    latents: Tensor, regions: list[Region], sizes: list[int], options: SynthesisOptions
) -> Tensor:
    """Apply SFF (Eq. 9) within each group."""
    if not options.sff.enabled:
        return latents
    cells = latent_masks(_cover(regions), latents.shape[-2:])[:, 0].bool()
    fused, at = [], 0
    for size in sizes:
        rows = [r.row for r in regions[at : at + size]]
        fused.append(
            fuse(
                latents[at : at + size],
                cells[at : at + size].to(latents.device),
                rate=options.sff.rate,
                base_weight=options.sff.base_weight,
                similarity=options.sff.similarity,
                seeds=[int(row.seed) for row in rows],
            )
        )
        at += size
    return torch.cat(fused)


def _compose(
    latents: Tensor, regions: list[Region], base: BaseModel, options: SynthesisOptions
) -> Iterator[tuple[Region, np.ndarray]]:
    for i in range(0, len(regions), options.batch_size):
        batch = regions[i : i + options.batch_size]
        shown = _pixels(base.decode(latents[i : i + len(batch)]))
        plain = _pixels(base.decode(base.encode(_stack([r.start for r in batch]))))
        for region, generated, decoded in zip(batch, shown, plain, strict=True):
            image = compose(
                region.begun,
                region.mask,
                region.frame,
                generated,
                decoded,
                mode="feather" if options.compose.mode == "feather" else "delta",
                undilute=options.compose.mode == "delta",
                collar=options.compose.collar,
                relative=options.compose.relative,
                white=float(full_scale(region.background)),
            )
            yield region, image


def _pixels(images: Tensor) -> np.ndarray:
    """Return (B, H, W, 3) in [0, 1]."""
    pixels: np.ndarray = ((images + 1) / 2).clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()
    return pixels


@dataclass(frozen=True)
class Region:
    """What one image is made from.

    Attributes:
        row: Its row of the plan.
        background: Native image, (H, W) or (H, W, 3), uint8 or uint16.
        mask: (H, W) bool, placed.
        frame: The window the model sees.
        seen: (r, r, 3) in [0, 1], the background in the window.
        cover: (r, r) in [0, 1], the mask in the window.
        reference: (r, r, 3) in [0, 1], a real defect in a window of the same native size.
        alignment: Real mask onto `cover`, on the r x r grid (Eq. 5).
        begun: Native image that the network's change is added to: see `engines.begun`.
        start: (r, r, 3) in [0, 1], that image in the window.
        reach: Px around the mask within which it may differ from the background.
    """

    row: Any
    background: np.ndarray
    mask: np.ndarray
    frame: Rectangle
    seen: np.ndarray
    cover: np.ndarray
    reference: np.ndarray
    alignment: Alignment
    begun: np.ndarray
    start: np.ndarray
    reach: float


def region_maker(
    samples: pd.DataFrame,
    masks: ImageSet,
    base: BaseModel,
    options: SynthesisOptions,
    framing: FramingOptions,
) -> Callable[[Any], Region]:
    """Return a function from a plan row to its `Region`; images read twice are kept."""
    by_id = {sample.sample_id: sample for sample in each_sample(samples)}
    resolution, minimum = framing_sizes(base, framing)

    @lru_cache(maxsize=64)
    def picture(sample: Sample) -> np.ndarray:
        return sample.image()

    @lru_cache(maxsize=64)
    def real(name: str) -> tuple[np.ndarray, np.ndarray]:
        return by_id[name].image(), by_id[name].mask()

    def make(row: Any) -> Region:
        background = picture(by_id[row.background])
        other, other_mask = real(row.reference)
        told = row._asdict()
        mask = planned_mask(told, masks, other_mask, background.shape[:2])
        image = begun(told, background, mask, real, options)
        if framing.mode == "roi":
            frame = roi_frame(mask, framing.context, minimum)
            window = frame_like(frame, other_mask)
        else:
            frame, window = (Rectangle(0, 0, *shown.shape) for shown in (mask, other_mask))
        cover = crop(mask, frame, resolution)
        return Region(
            row=row,
            background=background,
            mask=mask,
            frame=frame,
            seen=crop(to_float(background), frame, resolution),
            cover=cover,
            reference=crop(to_float(other), window, resolution),
            alignment=align(crop(other_mask, window, resolution), cover, options.sae.angles),
            begun=image,
            start=crop(to_float(image), frame, resolution),
            reach=carried_strip(told, other_mask) or options.compose.collar,
        )

    return make
