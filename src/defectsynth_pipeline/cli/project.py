"""A project folder: made, found, opened, and the versions that lie in it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.fingerprints import PACKAGE
from defectsynth_pipeline.hooks.records import Records

ENVIRONMENTS = ("base", "sd15", "paper", "thorough", "smoke")
LAYERS = (
    *("01_raw", "02_intermediate", "03_primary", "04_feature"),
    *("05_model_input", "06_models", "07_model_output", "08_reporting"),
)
NO_PROJECT = "there is no project here"
_VERSION = re.compile(r"\d{4}-\d\d-\d\dT[\d.]+Z")
_PYPROJECT = """\
[tool.kedro]
package_name = "{package}"
project_name = "{package}"
kedro_init_version = "{kedro}"
source_dir = "."
"""


def is_version(name: str) -> bool:
    """Whether a folder's name is that of a version: the time its run began."""
    return _VERSION.fullmatch(name) is not None


def shipped_conf() -> Path:
    """Where the settings lie: within the installed package, or beside the sources of a clone."""
    inside = PACKAGE / "conf"
    return inside if inside.is_dir() else PACKAGE.parents[1] / "conf"


def init_project(folder: Path) -> None:
    """Make a project folder with all settings and empty layers of data.

    Raises:
        InputError: It holds a project or settings already.
    """
    from kedro import __version__ as kedro_version

    for name in ("conf", "pyproject.toml"):
        if (folder / name).exists():
            raise InputError(
                "a project would overwrite what is there",
                file=folder / name,
                remedy="name a new folder, or use the project that is there",
            )
    conf = shipped_conf()
    for environment in ENVIRONMENTS:
        shutil.copytree(conf / environment, folder / "conf" / environment)
    shutil.copyfile(conf / "logging.yml", folder / "conf" / "logging.yml")
    (folder / "conf" / "local").mkdir()
    for layer in LAYERS:
        (folder / "data" / layer).mkdir(parents=True)
    (folder / ".telemetry").write_text("consent: false\n", encoding="utf-8")
    pyproject = _PYPROJECT.format(package=PACKAGE.name, kedro=kedro_version)
    (folder / "pyproject.toml").write_text(pyproject, encoding="utf-8")


def find_project(start: Path) -> Path:
    """Return the project that a folder lies in, made ready for Kedro.

    Raises:
        InputError: It lies in none.
    """
    from kedro.framework.startup import bootstrap_project
    from kedro.utils import find_kedro_project

    folder = find_kedro_project(start.absolute())
    if folder is None:
        raise InputError(
            NO_PROJECT,
            file=start.absolute(),
            remedy="make one with `defectsynth init FOLDER`, and run this within it",
        )
    bootstrap_project(folder)
    return Path(folder)


@dataclass(frozen=True)
class Project:
    """A project's settings, and the versions of what its runs wrote.

    Attributes:
        folder: The project's folder.
        parameters: All stages' parameters in one environment.
        catalog: The catalog's entries as they are written there.
        mlflow: Where runs are recorded.
    """

    folder: Path
    parameters: Mapping[str, Any]
    catalog: Mapping[str, Mapping[str, Any]]
    mlflow: Mapping[str, Any]

    def versions(self, entry: str, part: str = "") -> list[str]:
        """The versions of an entry, oldest first; `part` is "" or such as "partition_1"."""
        folder = self._folder(entry, part)
        found = folder.iterdir() if folder.is_dir() else ()
        return sorted(path.name for path in found if is_version(path.name))

    def path(self, entry: str, version: str, part: str = "") -> Path:
        """Where a version of an entry lies."""
        folder = self._folder(entry, part)
        return folder / version / folder.name

    def image_sets(self) -> Iterator[Path]:
        """The folder of every published image set, of masks and of images."""
        for entry in ("defect_masks", "synthetic_images"):
            for part in self.parts(entry):
                for version in self.versions(entry, part):
                    yield self.path(entry, version, part)

    def parts(self, entry: str) -> list[str]:
        """Where an entry has versions: "" outside partitions, then "partition_0" and so on."""
        folders = sorted(self._folder(entry, "").parent.glob("partition_*"))
        return ["", *(path.name for path in folders)]

    def record(self, entry: str, version: str, part: str = "") -> Mapping[str, Any] | None:
        """What the run that wrote a version noted of it; None where nothing was noted."""
        return Records(self.folder).made(f"{part}.{entry}" if part else entry, version)

    def made_from(
        self, entry: str, version: str, part: str, sources: Iterable[str]
    ) -> dict[str, str]:
        """The versions of some sources that a version of an entry was made from.

        By the record of its run; what is not recorded was made by a release that took the latest
        there was, so it is the newest that is not younger.
        """
        record = self.record(entry, version, part)
        if record is not None:
            noted = record["made_from"]
            names = {source: f"{part}.{source}" if part else source for source in sources}
            return {source: noted[name] for source, name in names.items() if name in noted}
        older = {s: [v for v in self.versions(s, part) if v <= version] for s in sources}
        return {source: found[-1] for source, found in older.items() if found}

    def _folder(self, entry: str, part: str) -> Path:
        task, _, rest = entry.partition("_")
        pattern = entry if entry in self.catalog else f"{{task}}_{rest}"
        folder = self.folder / self.catalog[pattern]["filepath"].replace("{task}", task)
        return folder.parent / part / folder.name


def open_project(start: Path, env: str | None = None) -> Project:
    """Read the settings of the project that a folder lies in.

    Args:
        start: The folder.
        env: Environment of conf/; None is the default one.

    Raises:
        InputError: It lies in none, or its settings are wrong.
    """
    from kedro.framework.session import KedroSession

    folder = find_project(start)
    session: Any = KedroSession.create(project_path=folder, env=env)
    with session:
        loader = session.load_context().config_loader
        return Project(folder, loader["parameters"], loader["catalog"], loader["mlflow"])
