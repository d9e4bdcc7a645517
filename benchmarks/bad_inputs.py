"""Bad inputs as data: what is spoilt, how `kedro run` is called, what its one line must name."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

import spoiling as by
from PIL import Image
from projects import REPOSITORY, command, latest
from spoiling import Spoil

sys.path.append(str(REPOSITORY / "tests"))
from categories import SHAPES, surface, write_category


class BadInput(NamedTuple):
    """One of them.

    Attributes:
        start: What is spoilt: nothing, a corpus, a base model, or a project with finished runs.
        name: What is wrong.
        arguments: Of `kedro`; `{given}` is the corpus or the base model.
        named: What the line must hold.
        spoil: Called with the folder of `start`.
    """

    start: str
    name: str
    arguments: list[str]
    named: str
    spoil: Spoil = lambda folder: None


def write_part(root: Path) -> Path:
    """A small corpus without a fault."""
    return write_category(root / "plate", surface, SHAPES, tested=["000", "001"])


def _parameter(given: str, named: str) -> BadInput:
    return BadInput("nothing", given, command("augment", f"--params={given}"), named)


def _typed(name: str, named: str, *arguments: str) -> BadInput:
    return BadInput("nothing", name, ["run", "--env=smoke", *arguments], named)


def _corpus(name: str, named: str, spoil: Spoil, more: str = "") -> BadInput:
    arguments = command("ingest", "--params=root={given}" + more)
    return BadInput("corpus", name, arguments, named, spoil)


def _model(name: str, named: str, spoil: Spoil) -> BadInput:
    arguments = command("augment", "--params=base_model={given}")
    return BadInput("base model", name, arguments, named, spoil)


def _work(pattern: str, name: str, pipeline: str, way: Spoil) -> BadInput:
    """Spoils a file below data/."""
    spoil: Spoil = lambda project: way(sorted((project / "data").glob(pattern))[0])  # noqa: E731
    return BadInput(
        "runs", f"{pattern}: {name}", command(pipeline), Path(pattern).parent.name, spoil
    )


def _version(
    entry: str, name: str, named: str, way: Spoil, *arguments: str, pipeline: str = "downstream"
) -> BadInput:
    """Spoils the latest version of an entry."""
    spoil: Spoil = lambda project: way(latest(project, entry))  # noqa: E731
    return BadInput("runs", f"{entry}: {name}", command(pipeline, *arguments), named, spoil)


# Out of range, of the wrong type, or unknown: named by key.
_VALUES = """
masks.tolerance=.inf masks.count=1000000000000 masks.seed=-1 masks.count=many masks.count=0
masks.tau=1.5 masks.tau=.nan masks.method=magic masks.cuont=5 mask=5 zzz=1 masks=3 root=5
base_model=5 synthesis.engine=gan synthesis.guidance=.inf synthesis.compose.collar=.inf
synthesis.steps=1001 synthesis.count=1000000000000 finetune.learning_rate=.inf finetune.steps=0
finetune.steps=1.5 framing.context=.inf framing.resolution=1000000 ingest.categories=[]
ingest.base_share=2 ingest.shots=-1 ingest.group_by=( arms.names=[] localization.side=1000000
protocol.bootstrap=1000000000000
"""
PARAMETERS = [
    *(_parameter(given, given.partition("=")[0]) for given in _VALUES.split()),
    _parameter("ingest.shots=40", "max_base = 3"),
    _parameter("ingest.protocol=lowest_third,ingest.partition=1", "partition = 1"),
    _parameter("prompts.defect=a {part}", "{part}"),
    _parameter("prompts.defect={", "cannot be read"),
    _parameter("prompts.defect=${nothing}", "cannot be read"),
    _parameter("framing.mode=full,framing.minimum=64", "minimum = 64"),
    _parameter("arms.names=base base", "base is listed 2 times"),
    _parameter("arms.names=base@-3", "base@-3"),
    _parameter("arms.names=external:gan", "external.gan.path"),
    _parameter("protocol.seeds=0 0", "0 is listed 2 times"),
    _parameter("protocol.seeds=0 -1", "-1"),
    _parameter("localization.patch=600", "patch = 600"),
    _parameter("root=/nothing/such", "/nothing/such"),
    _parameter("base_model=/nothing/such", "/nothing/such"),
    _typed("no such pipeline", "augmnt", "--pipeline=augmnt"),
    _typed("no such environment", "smok", "--env=smok", "--pipeline=augment"),
    _typed("no such node", "nothing", "--pipeline=augment", "--nodes=nothing"),
    _typed("no such output", "verdct", "--pipeline=downstream", "--to-outputs=verdct"),
    _typed("an unknown arm", "nothing_such", "--params=arms.names=base nothing_such"),
    _typed("threads", "ThreadRunner", "--pipeline=augment", "--runner=ThreadRunner"),
    _typed("processes", "ParallelRunner", "--pipeline=augment", "--runner=ParallelRunner"),
    _typed("downstream first", "augment", "--pipeline=downstream"),
]

_DENT, _GOOD = "plate/test/dent", "plate/train/good"
_MASKS = "plate/ground_truth/dent"
_MASK = f"{_MASKS}/001_mask.png"
_LATIN = os.fsdecode(b"beul\xe9.png")
_PAGE = Image.new("L", (9, 9))
CORPORA = [
    _corpus("an empty folder", "known layout", by.remove("plate")),
    _corpus("no mask", "001", by.remove(_MASK)),
    _corpus("no image", "002_mask.png", by.remove(f"{_DENT}/002.png")),
    _corpus("no image of a type", "000_mask.png", by.remove(_DENT)),
    _corpus("a mask of another size", "001_mask.png", by.shrink(_MASK)),
    _corpus("an empty mask", "0 defect pixels", by.blacken(_MASK)),
    _corpus("an inverted mask", "001_mask.png", by.paint(_MASK, ~SHAPES["dent"](1))),
    _corpus("a photograph as mask", "001_mask.png", by.paint(_MASK, surface(1))),
    _corpus("an empty file", "003.png", by.cut(f"{_DENT}/003.png", 0)),
    _corpus("a cut file", "003.png", by.cut(f"{_DENT}/003.png")),
    _corpus("a cut mask", "001_mask.png", by.cut(_MASK)),
    _corpus("a cut good image", "002.png", by.cut(f"{_GOOD}/002.png", 0.9)),
    _corpus("a text", "x.png", by.put(f"{_GOOD}/x.png", b"no image")),
    _corpus("another format", "x.webp", by.put(f"{_GOOD}/x.webp", b"RIFF")),
    _corpus("PostScript", "x.png", by.put(f"{_GOOD}/x.png", b"%!PS-Adobe-3.0 EPSF-3.0\n")),
    _corpus("floats", "x.tif", by.draw(f"{_GOOD}/x.tif", "F")),
    _corpus("CMYK", "x.jpg", by.draw(f"{_GOOD}/x.jpg", "CMYK")),
    _corpus("one bit", "x.png", by.draw(f"{_GOOD}/x.png", "1")),
    _corpus("transparent", "x.png", by.draw(f"{_GOOD}/x.png", "RGBA")),
    _corpus(
        "pages", "2 pages", by.draw(f"{_GOOD}/x.tif", "L", save_all=True, append_images=[_PAGE])
    ),
    _corpus(
        "one mask of a type",
        "dent",
        by.every(
            *(by.remove(f"{_DENT}/00{n}.png") for n in range(1, 6)),
            *(by.remove(f"{_MASKS}/00{n}_mask.png") for n in range(1, 6)),
        ),
    ),
    _corpus("no normal images", "train/good", by.remove(_GOOD)),
    _corpus("no defects", "plate", by.remove("plate/test")),
    _corpus("no such category", "bolt", lambda root: None, ",ingest.categories=[bolt]"),
    _corpus("no such type", "rust", lambda root: None, ",ingest.defect_types=[rust]"),
    _corpus("two files of one name", "000", by.paint(f"{_GOOD}/000.bmp", surface(77))),
    _corpus("a FIFO", "000.png", by.pipe(f"{_DENT}/000.png")),
    _corpus("a link to itself", "000.png", by.link(f"{_DENT}/000.png", "000.png")),
    _corpus("a link elsewhere", "x.png", by.link(f"{_GOOD}/x.png", "/etc/hosts")),
    _corpus("a name that is not UTF-8", "beul", by.paint(f"{_DENT}/{_LATIN}", surface(1))),
    _corpus("one image twice", "plate", by.copy(f"{_GOOD}/000.png", "plate/test/good/009.png")),
]

_WEIGHTS = "diffusion_pytorch_model.safetensors"
_PICKLE = "diffusion_pytorch_model.bin"
_FIRST = "decoder.conv_in.weight"
MODELS = [
    _model("without vae", "vae", by.remove("vae")),
    _model("without unet", "unet", by.remove("unet")),
    _model("without text_encoder", "text_encoder", by.remove("text_encoder")),
    _model("without tokenizer", "tokenizer", by.remove("tokenizer")),
    _model("without scheduler", "scheduler", by.remove("scheduler")),
    _model("half settings", "config.json", by.cut("unet/config.json")),
    _model("empty settings", "config.json", by.cut("vae/config.json", 0)),
    _model("a broken scheduler", "scheduler", by.cut("scheduler/scheduler_config.json")),
    _model("cut weights", _WEIGHTS, by.cut(f"unet/{_WEIGHTS}", 0.9)),
    _model("empty weights", _WEIGHTS, by.cut(f"vae/{_WEIGHTS}", 0)),
    _model("only pickles", _PICKLE, by.pickle_tensors(f"unet/{_WEIGHTS}", _PICKLE)),
    _model("a renamed pickle", _WEIGHTS, by.pickle_tensors(f"vae/{_WEIGHTS}", _WEIGHTS)),
    _model(
        "a ControlNet of pickles",
        "controlnet",
        by.pickle_tensors(f"controlnet/{_WEIGHTS}", _PICKLE),
    ),
    _model(
        "NaN", _FIRST, by.set_tensors(f"vae/{_WEIGHTS}", lambda t: t[_FIRST].fill_(float("nan")))
    ),
    _model(
        "a missing tensor",
        "unet",
        by.set_tensors(f"unet/{_WEIGHTS}", lambda t: t.pop("conv_in.weight")),
    ),
    _model("another width", "config.json", by.set_json("vae/config.json", latent_channels=4)),
    _model(
        "an empty vocabulary",
        "tokenizer",
        by.every(*(by.write(b"{}", f"tokenizer/{n}.json") for n in ("vocab", "tokenizer"))),
    ),
]

_MANIFEST = "manifest.parquet"
# Fitting the certificate comes before them, and takes a while.
_PLAN, _MAKE = "--nodes=synthesis.plan_images", "--nodes=synthesis.make_generator"
_CHECKPOINTS = "06_models/finetune_checkpoints/[!.]*.pt"
VERSIONS = [
    _version("samples", "no byte", "samples.csv", by.cut(keep=0)),
    _version("samples", "a cut row", "samples.csv", by.cut(keep=0.7)),
    _version("samples", "no column", "sha256", by.drop_column("sha256")),
    _version("samples", "binary", "samples.csv", by.write(bytes(range(256)))),
    _version("synthetic_images", "a cut manifest", _MANIFEST, by.cut(_MANIFEST)),
    _version("synthetic_images", "no manifest", _MANIFEST, by.remove(_MANIFEST)),
    _version("synthetic_images", "a cut image", "images/", by.cut("images/*.png")),
    _version("synthetic_images", "no image", "images/", by.remove("images/*.png")),
    _version("synthetic_images", "a black mask", "masks/", by.blacken("masks/*.png")),
    _version("synthetic_images", "a small mask", "masks/", by.shrink("masks/*.png")),
    _version("synthetic_images", "an id outside", "../../x", by.set_manifest(image_id="../../x")),
    _version("defect_masks", "no mask", "masks/", by.remove("masks/*.png")),
    _version(
        "defect_masks", "a cut manifest", _MANIFEST, by.cut(_MANIFEST), _PLAN, pipeline="synthesis"
    ),
    _version(
        "controlnet", "cut", "controlnet", by.cut("**/*.safetensors"), _MAKE, pipeline="synthesis"
    ),
    _version(
        "controlnet",
        "no settings",
        "controlnet",
        by.remove("**/*.json"),
        _MAKE,
        pipeline="synthesis",
    ),
    _work(_CHECKPOINTS, "garbage", "controlnet", by.write(b"garbage")),
    _work(_CHECKPOINTS, "cut", "controlnet", by.cut()),
    BadInput(
        "runs",
        "a version that is not there",
        command("downstream", "--load-versions=samples:2020-01-01T00.00.00.000Z"),
        "2020-01-01",
    ),
]

BAD_INPUTS = [*PARAMETERS, *CORPORA, *MODELS, *VERSIONS]
