"""The commands as they are typed; what they do is in the modules they call."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

FOLDER = click.Path(path_type=Path, file_okay=False)
FORMATS = ("coco", "yolo", "voc", "mvtec", "hf", "labelstudio", "cvat")
FILE = click.Path(path_type=Path, dir_okay=False)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="defectsynth-pipeline", message="%(version)s")
def cli() -> None:
    """Few-shot defect synthesis: from a handful of real defects to labelled images.

    The commands work on the project that the current folder lies in; `init` makes one.
    """


def nested(context: click.Context, option: click.Parameter, value: str) -> dict[str, Any]:
    """What `--params` means to `kedro run`."""
    from kedro.framework.cli.utils import _split_params

    found: dict[str, Any] = _split_params(context, option, value)
    return found


def run_options(count: str, root: str) -> Callable[[Any], Any]:
    """The options that both runs take."""
    options = [
        click.option("--env", help="Environment of conf/, for example sd15 or smoke."),
        click.option(
            "--params",
            default="",
            callback=nested,
            help="Parameters as `kedro run` takes them: a.b=1,c=2. They win over --count.",
        ),
        click.option("--root", type=FOLDER, help=root),
        click.option("--count", type=click.IntRange(min=1), help=count),
    ]

    def add(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return add


@cli.command()
@run_options(
    count="Masks and images to make per defect type.",
    root="Your folder of parts; the demo if it is left out.",
)
def augment(env: str | None, params: dict[str, Any], root: Path | None, count: int | None) -> None:
    """Make labelled defect images."""
    from defectsynth_pipeline.cli.runs import augment

    augment(env=env, params=params, root=root, count=count)


@cli.command()
@run_options(
    count="Images of every arm per defect type.",
    root="The folder of parts that the images must have been made of; checked before the run.",
)
def downstream(
    env: str | None, params: dict[str, Any], root: Path | None, count: int | None
) -> None:
    """Train detectors with and without the images: do they pay?"""
    from defectsynth_pipeline.cli.runs import downstream

    downstream(env=env, params=params, root=root, count=count)


@cli.command()
@click.option("--env", help="Environment of conf/, for example sd15 or smoke.")
@click.option("--params", default="", callback=nested, help="As `kedro run` takes them.")
@click.option("--root", type=FOLDER, help="Your folder of parts; the demo if it is left out.")
@click.option("--dry-run", is_flag=True, help="Only say which rows there are and their minutes.")
def ablation(env: str | None, params: dict[str, Any], root: Path | None, dry_run: bool) -> None:
    """Say what each idea of the method is worth and costs on these parts."""
    if root is not None:
        params["root"] = str(root.expanduser().absolute())
    if dry_run:
        from defectsynth_pipeline.cli.ablation import rows_and_minutes

        click.echo("\n".join(rows_and_minutes(env, params)))
        return
    from defectsynth_pipeline.cli.runs import run

    run("ablation", env, params)


@cli.command()
@click.option("--env", help="Environment of conf/, for example sd15 or smoke.")
@click.option(
    "--params", default="", callback=nested, help="Parameters as `kedro run` takes them: a.b=1."
)
@click.option("--root", type=FOLDER, help="Your folder of parts; else that of the settings.")
@click.option(
    "--minutes", type=click.FloatRange(min=1), help="Find settings that fit into this time."
)
def plan(env: str | None, params: dict[str, Any], root: Path | None, minutes: float | None) -> None:
    """Say what `augment` and `downstream` will cost here: minutes, memory, disk."""
    from defectsynth_pipeline.cli.plan import plan

    for line in plan(env=env, params=params, root=root, minutes=minutes):
        click.echo(line)


@cli.command()
@click.option("--format", type=click.Choice(FORMATS), required=True, help="The layout.")
@click.option("--out", type=FOLDER, required=True, help="A new or an empty folder.")
@click.option("--version", help="Of the synthetic images; the latest if it is left out.")
@click.option("--review", type=FILE, help="What a person decided: review.json of the desk.")
@click.option("--all", "rejected", is_flag=True, help="What the certificate rejected, too.")
@click.option("--normals/--no-normals", default=None, help="Good images too; mvtec always has.")
@click.option("--real", is_flag=True, help="The real defects of the base, too.")
@click.option("--instances", type=click.Choice(["parts", "image"]), help="What one is.")
@click.option("--masks", type=click.Choice(["auto", "rle", "polygon"]), help="How coco tells them.")
@click.option("--commercial", is_flag=True, help="Refuse what the sources do not permit.")
@click.option("--accept-licences", is_flag=True, help="Do not refuse.")
@click.option("--env", help="Environment of conf/.")
def export(
    env: str | None, version: str | None, review: Path | None, out: Path, **options: Any
) -> None:
    """Write the accepted images as another tool reads them."""
    from defectsynth_pipeline.cli.runs import export

    given = {name: value for name, value in options.items() if value not in (None, False)}
    if options["normals"] is False:
        given["normals"] = False
    given["out"] = str(out.expanduser().absolute())
    export(given, env=env, version=version, review=review)


@cli.command()
@click.argument("folder", type=FOLDER, required=False)
@click.option("--out", type=FOLDER, help="A new folder; FOLDER-detected if it is left out.")
@click.option("--category", help="Whose detector; needed where several were judged.")
@click.option("--arm", help="The detector of this arm, whatever the verdict says.")
@click.option("--onnx", type=FILE, help="Write the detector into this file, to be used elsewhere.")
def detect(
    folder: Path | None, out: Path | None, category: str | None, arm: str | None, onnx: Path | None
) -> None:
    """Find defects on the photographs of FOLDER with the detector that the verdict speaks for."""
    from defectsynth_pipeline.cli import detect
    from defectsynth_pipeline.cli.project import open_project

    if (folder is None) == (onnx is None):
        raise click.UsageError("give a FOLDER of photographs, or --onnx FILE")
    if folder is not None:
        out = out or folder.with_name(f"{folder.name}-detected")
        lines = detect.detect(open_project(Path.cwd()), folder, out, category, arm)
    elif onnx is not None:
        lines = detect.export_onnx(open_project(Path.cwd()), onnx, category, arm)
    click.echo("\n".join(lines))


@cli.command()
@click.argument("folder", type=FOLDER)
def init(folder: Path) -> None:
    """Make a project in FOLDER: settings in conf/, an empty data/, ready to run."""
    from defectsynth_pipeline.cli.project import init_project

    init_project(folder)
    click.echo(
        f"{folder} is a project. Next:\n"
        f"  cd {folder}\n"
        "  defectsynth doctor       what will work on this machine\n"
        "  defectsynth augment      images of the demo parts; --root /path/to/parts for your own\n"
        "  defectsynth downstream   do they pay?"
    )


@cli.command()
@click.option("--env", help="Environment of conf/ whose settings are looked at.")
@click.option("--root", type=FOLDER, help="Look at this folder of parts too, image by image.")
@click.option(
    "--picture",
    type=FILE,
    default=Path("doctor.png"),
    show_default=True,
    help="Where the images to look at again are drawn; with --root.",
)
def doctor(env: str | None, root: Path | None, picture: Path) -> None:
    """Say what will work here and what will not; exit 1 if the default cannot run."""
    from defectsynth_pipeline.cli.doctor import consult

    state = "yes"
    for found in consult(Path.cwd(), env, root, picture):
        click.echo(f"{found.state:>3}  {found.what:<13} {found.said}")
        state = "no" if found.state == "no" else state
    click.echo("The default can run." if state == "yes" else "The default cannot run.")
    raise SystemExit(int(state == "no"))


@cli.command()
@click.argument("image")
@click.option("--json", "as_json", is_flag=True, help="Tell it as JSON.")
@click.option("--strip", type=FILE, help="Draw its way into this PNG: parents to result.")
def explain(image: str, as_json: bool, strip: Path | None) -> None:
    """Say where IMAGE is from: an id, a file of a set, or a copy of one lying anywhere."""
    from defectsynth_pipeline.cli import lineage

    found = lineage.find(image, Path.cwd())
    told = lineage.explain(found)
    if strip is not None:
        from defectsynth_pipeline.cli.strip import draw_strip

        draw_strip(found).savefig(strip)
    if as_json:
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(lineage.as_text(told)))


@cli.command()
@click.argument("image")
@click.option("--env", help="Environment it was made in, where its run left no record.")
def replay(image: str, env: str | None) -> None:
    """Render IMAGE again from what is recorded, and compare; exit 1 if a pixel differs."""
    from defectsynth_pipeline.cli import lineage
    from defectsynth_pipeline.cli.replay import replay

    outcome = replay(lineage.find(image, Path.cwd(), env))
    for name, said in outcome.compared.items():
        click.echo(f"{name:<8} {said}")
    for said in outcome.changed:
        click.echo(f"changed  {said}")
    if not (outcome.same or outcome.changed):
        click.echo("changed  nothing that is recorded: is it another machine?")
    raise SystemExit(int(not outcome.same))


@cli.command()
@click.argument("version", required=False)
@click.option("--out", type=FOLDER, help="Folder of the desk; data/08_reporting/review/VERSION.")
@click.option("--open", "show", is_flag=True, help="Open it in the browser.")
def review(version: str | None, out: Path | None, show: bool) -> None:
    """Make a page to look through the images of VERSION, the latest: accept, reject, retype.

    What it saves, review.json, goes to `--params=review=FILE` of augment and downstream.
    """
    from defectsynth_pipeline.cli.review import make_desk

    page, count = make_desk(Path.cwd(), version, out)
    click.echo(f"{count} images to look through: {page}")
    if show:
        click.launch(page.as_uri())


@cli.command()
@click.argument("folders", nargs=-1, type=FOLDER)
def verify(folders: tuple[Path, ...]) -> None:
    """Check every file of the published image sets, or of FOLDERS alone; exit 1 if one is wrong."""
    from defectsynth_pipeline.cli.project import open_project
    from defectsynth_pipeline.imagesets import verify

    wrong = 0
    for folder in folders or open_project(Path.cwd()).image_sets():
        problems = verify(folder)
        click.echo(f"{'wrong' if problems else 'sound'}  {folder}")
        for problem in problems:
            click.echo(f"       {' '.join(problem.split())}")
        wrong += len(problems)
    raise SystemExit(int(wrong > 0))


@cli.command()
@click.option("--keep", required=True, type=click.IntRange(min=1), help="Versions of each entry.")
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
def prune(keep: int, dry_run: bool) -> None:
    """Delete all but the last versions of every entry, and what these were made from."""
    from defectsynth_pipeline.cli.project import open_project
    from defectsynth_pipeline.cli.prune import delete, old_versions

    project = open_project(Path.cwd())
    old = old_versions(project, keep)
    for one in old:
        click.echo(f"{one.entry:<28} {one.folder.name}  {one.size / 2**20:8.1f} MiB")
    if not dry_run:
        delete(project, old)
    said = "would be deleted" if dry_run else "deleted"
    click.echo(f"{len(old)} versions, {sum(one.size for one in old) / 2**20:.1f} MiB {said}")


@cli.command()
@click.argument("word", default="")
@click.option("--markdown", is_flag=True, help="As the page of the documentation.")
def parameters(word: str, markdown: bool) -> None:
    """Say what every parameter means and may be; with WORD those that have to do with it."""
    from defectsynth_pipeline.cli import reference
    from defectsynth_pipeline.cli.project import find_project

    found = [
        one
        for one in reference.parameters(find_project(Path.cwd()) / "conf" / "base")
        if word.lower() in f"{one.name} {one.meaning}".lower()
    ]
    if markdown:
        click.echo(reference.as_markdown(found), nl=False)
        return
    for one in found:
        click.echo(f"{one.name} = {one.value}")
        click.echo(f"    {one.allowed}{'; ' if one.meaning else ''}{one.meaning}")
    if not found:
        raise SystemExit(f"No parameter has to do with {word!r}.")
