"""How an image came about, as a strip: parents, mask, background, reference, result."""

from __future__ import annotations

from matplotlib.figure import Figure

from defectsynth_pipeline.cli.lineage import Found
from defectsynth_pipeline.corpora.reading import Sample
from defectsynth_pipeline.figures import style
from defectsynth_pipeline.figures.previews import closeup, outlined, to_display
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.provenance import other_references

_LEAST = 64  # px, side of a crop at least


def draw_strip(found: Found) -> Figure:
    """Draw the way of one image, crops around the defect, the defect outlined but in the result."""
    image_set = ImageSet.open(found.root)
    name = found.row["image_id"]
    image, mask = image_set.array(name, "image"), image_set.array(name, "mask")
    window = closeup(mask, least=_LEAST).slices
    tiles = [(f"parent\n{_short(parent)}", _real(found, parent)) for parent in found.parents]
    made = found.masks.array(found.row["mask"], "mask")
    tiles.append((f"mask\n{found.row['mask']}", to_display(made[closeup(made, least=16).slices])))
    background = Sample.of(found.samples.loc[found.row["background"]]).image()
    tiles.append((f"background\n{_short(found.row['background'])}", to_display(background[window])))
    reference = found.row["reference"]
    tiles.append((f"reference\n{_short(reference)}", _real(found, reference)))
    others = other_references(found.row)
    tiles += [(f"patches of\n{_short(other)}", _real(found, other)) for other in others]
    tiles.append((f"{found.row['engine']}\n{found.row['verdict']}", to_display(image[window])))
    figure = Figure(figsize=(2.2 * len(tiles), 2.9), layout="constrained")
    for ax, (title, tile) in zip(figure.subplots(1, len(tiles)), tiles, strict=True):
        ax.imshow(tile)
        ax.set_title(title, fontsize=style.SMALL)
        ax.set_axis_off()
    style.title(figure, f"{name}: {found.row['defect_type']} on {found.row['category']}")
    return figure


def _real(found: Found, name: str) -> object:
    sample = Sample.of(found.samples.loc[name])
    mask = sample.mask()
    window = closeup(mask, least=_LEAST).slices
    return outlined(sample.image()[window], mask[window])


def _short(name: str) -> str:
    return name.split("/", 2)[-1]
