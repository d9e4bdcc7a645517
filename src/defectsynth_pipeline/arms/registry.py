"""What training sets are made of: arms by name, all behind one interface.

Adding an arm is one small module with a subclass of `Arm`, and a line in `ARMS`.
"""

from __future__ import annotations

from difflib import get_close_matches

from defectsynth_pipeline.arms.arm import Arm
from defectsynth_pipeline.arms.augmentation import Geometric, Photometric
from defectsynth_pipeline.arms.base import Base, BaseNormals
from defectsynth_pipeline.arms.crop_paste import CropPaste, CropPasteMatched
from defectsynth_pipeline.arms.cutpaste import CutPaste
from defectsynth_pipeline.arms.defectsynth import DefectSynth
from defectsynth_pipeline.arms.draem import Draem
from defectsynth_pipeline.arms.exemplar import Exemplar
from defectsynth_pipeline.arms.external import External
from defectsynth_pipeline.arms.mixtures import Limited, Mixture
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.options import ArmOptions

ARMS: dict[str, Arm] = {
    "base": Base(),
    "base_normals": BaseNormals(),
    "geometric": Geometric(),
    "photometric": Photometric(),
    "crop_paste": CropPaste(),
    "crop_paste_matched": CropPasteMatched(),
    "exemplar": Exemplar(),
    "cutpaste": CutPaste(),
    "draem": Draem(),
    "defectsynth": DefectSynth(),
}
_EXTERNAL = "external:"


def arm_names(options: ArmOptions) -> list[str]:
    """Return the arms to train, those of the ratio curve after the named ones, each once.

    Raises:
        InputError: The ratio curve is asked of a mixture, or of an arm that is limited already.
    """
    if options.ratio and ("+" in options.ratio_arm or "@" in options.ratio_arm):
        raise InputError(
            "a ratio curve is drawn for a single arm",
            file="arms.ratio_arm",
            value=options.ratio_arm,
            remedy=f"use one of {', '.join(ARMS)}, or {_EXTERNAL}<name>",
        )
    curve = [f"{options.ratio_arm}@{number}" for number in options.ratio or []]
    return list(dict.fromkeys([*options.names, *curve]))


def parse(name: str) -> Arm:
    """Return the arm of a name: plain, `external:<name>`, `a@n`, or a mixture `a+b`.

    `@` binds closer than `+`: `crop_paste+defectsynth@50` takes turns between Crop-Paste and 50
    synthetic images.

    Raises:
        InputError: The name is not known, or the number after `@` is none.
    """
    parts = [_part(part.strip(), name) for part in name.split("+")]
    return parts[0] if len(parts) == 1 else Mixture(parts)


def _part(name: str, whole: str) -> Arm:
    plain, limit, number = name.partition("@")
    set_name = plain.removeprefix(_EXTERNAL)
    arm = ARMS.get(plain) if set_name == plain else External(set_name)
    if arm is None or not set_name:
        close = get_close_matches(plain, ARMS, n=1)
        raise InputError(
            "unknown arm",
            file="arms.names",
            value=whole,
            remedy=f"did you mean {close[0]}?"
            if close
            else f"use one of {', '.join(ARMS)}, {_EXTERNAL}<name>, a mixture a+b, or a@n",
        )
    if not limit:
        return arm
    if not (number.isascii() and number.isdigit()):
        raise InputError(
            "an arm's number of images is not a whole number",
            file="arms.names",
            value=whole,
            remedy=f"write {plain}@50, for example",
        )
    return Limited(arm, int(number), ARMS["base_normals"])
