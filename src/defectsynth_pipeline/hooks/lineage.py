"""A run reads versions that belong together, and every version it writes says what it is from."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io.core import Version
from kedro.pipeline import Node, Pipeline

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.hooks.belonging import belonging
from defectsynth_pipeline.hooks.command import is_versioned, read_by, repeating_command
from defectsynth_pipeline.hooks.memory import maker_of
from defectsynth_pipeline.hooks.records import Records, as_recorded
from defectsynth_pipeline.hooks.redact import redact

logger = logging.getLogger(__name__)

RESULT = "synthetic_images"


class Lineage:
    """Pins what is read by the records of earlier runs, and writes the record of this one.

    `--load-versions` wins over every record.
    """

    def __init__(self) -> None:
        self._project, self._records = Path(), Records(Path())
        self._catalog: Any = None
        self._run: dict[str, Any] = {}
        self._behind: dict[str, dict[str, str]] = {}

    @hook_impl
    def after_context_created(self, context: Any) -> None:
        """Find the records of the project."""
        self._project, self._records = context.project_path, Records(context.project_path)

    @hook_impl
    def after_catalog_created(
        self, catalog: Any, save_version: str | None, load_versions: Mapping[str, str] | None
    ) -> None:
        """Pin what the latest images were made from, for who only looks: Kedro-Viz, a notebook."""
        if save_version is None and RESULT in catalog:
            given = load_versions or {}
            shown = given.get(RESULT) or next(iter(_versions(catalog[RESULT])), None)
            made_from = self._made_from(RESULT, shown) if shown else {}
            there = {n: v for n, v in made_from.items() if v in _versions(catalog[n])}
            _pin(catalog, {name: v for name, v in there.items() if name not in given})

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Any, catalog: Any) -> None:
        """Choose what is read and begin the record.

        Raises:
            InputError: Something was never made, no versions belong together, or outputs that
                shall not be made again were made otherwise than this run would make them.
        """
        self._catalog, self._behind, self._run = catalog, {}, {}
        if run_params["only_missing_outputs"]:
            self._check_outputs(pipeline)
        given = run_params["load_versions"] or {}
        _pin(catalog, self._choose(read_by(pipeline, catalog), given))
        self._run = {
            "run": run_params["run_id"],
            "command": redact(repeating_command(run_params, pipeline, catalog)),
            "status": "began",
            "entries": {},
        }

    @hook_impl
    def before_dataset_saved(self, dataset_name: str, node: Any) -> None:
        """Note what an entry is made from before it is there."""
        behind = self._behind_node(node)
        self._behind[dataset_name] = behind
        version = _save_version(self._catalog[dataset_name])
        if version is None:
            return
        self._behind[dataset_name] = behind | {dataset_name: version}
        settings = self._settings(node)
        self._run["entries"][dataset_name] = {"made_from": behind, "settings": settings}
        self._records.write(version, self._run)

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Note that the run is whole."""
        self._end("finished")

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """Note that it is not."""
        self._end(redact(f"failed: {error}"))

    def _end(self, status: str) -> None:
        if self._run and self._run["entries"]:
            self._records.write(self._run["run"], self._run | {"status": status})

    def _made_from(self, name: str, version: str) -> Mapping[str, str]:
        made = self._records.made(name, version)
        return made["made_from"] if made else {}

    def _choose(self, read: Iterable[str], given: Mapping[str, str]) -> dict[str, str]:
        if unread := sorted(given.keys() - set(read)):
            raise InputError(
                "--load-versions names what this run does not read, or makes itself",
                value=unread[0],
                remedy=f"leave it out, or name one of {', '.join(_entries(read))}",
            )
        versions = {}
        for name in sorted(read):
            dataset = self._catalog.get(name)
            if not is_versioned(dataset):
                continue
            if versions_of := _versions(dataset):
                versions[name] = versions_of
            elif not getattr(dataset, "_optional", False):
                raise InputError(
                    f"{name} has not been made yet",
                    file=dataset._filepath,
                    remedy=f"first run {_run_of(name)}",
                )
            if name in given and given[name] not in versions_of:
                raise InputError(
                    f"there is no such version of {name}",
                    file=dataset._filepath,
                    value=given[name],
                    remedy=f"choose one of {', '.join(versions_of[:5])}",
                )
        chosen = belonging(versions, self._made_from, given)
        if chosen is None:
            raise InputError(
                "what is there does not belong together",
                value=_listed({name: found[0] for name, found in versions.items()}),
                remedy="make them again from the same samples, or choose with --load-versions",
            )
        self._tell(chosen, versions, given)
        return chosen

    def _tell(
        self,
        chosen: Mapping[str, str],
        versions: Mapping[str, Sequence[str]],
        given: Mapping[str, str],
    ) -> None:
        if chosen:
            logger.info("reading %s", _listed(chosen))
        if unknown := {n: v for n, v in chosen.items() if self._records.made(n, v) is None}:
            logger.warning("no record says what these were made from: %s", _listed(unknown))
        newer = {n: versions[n][0] for n, v in chosen.items() if versions[n][0] > v}
        if aside := {name: version for name, version in newer.items() if name not in given}:
            logger.warning("newer ones that do not belong to these are left: %s", _listed(aside))
        for name, version in chosen.items():
            for behind, wanted in self._made_from(name, version).items():
                if behind in given and given[behind] != wanted:
                    logger.warning(
                        "%s %s was made from %s %s, not from the %s that --load-versions names",
                        *(name, version, behind, wanted, given[behind]),
                    )

    def _behind_node(self, node: Node) -> dict[str, str]:
        """Every versioned entry behind what a node makes; another partition's only goes before."""
        direct, further, own = {}, {}, _part(node.outputs[0])
        for name in node.inputs:
            if own and _part(name) not in ("", own):
                continue
            if name in self._behind:
                further |= self._behind[name]
            elif is_versioned(self._catalog.get(name)) and self._catalog.exists(name):
                direct[name] = self._catalog[name].resolve_load_version()
                further |= self._made_from(name, direct[name])
        return further | direct

    def _settings(self, node: Node) -> dict[str, Any]:
        """Parameters by name, and where the inputs that have no version come from."""
        told = {}
        for name in node.inputs:
            dataset = self._catalog.get(name)
            if name.startswith("params:"):
                told[name.removeprefix("params:")] = self._catalog.load(name)
            elif hasattr(dataset, "source"):  # within the project it moves with it
                told[name] = dataset.source.removeprefix(f"{self._project.as_posix()}/")
        return told

    def _check_outputs(self, pipeline: Pipeline) -> None:
        """Refuse to keep outputs that this run would have made otherwise, or from others."""
        remedy = "leave out --only-missing-outputs, or give what they were made with"
        latest = {}
        for name in pipeline.all_outputs():
            dataset = self._catalog.get(name)
            if is_versioned(dataset) and self._catalog.exists(name):
                latest[name] = dataset.resolve_load_version()
        for node in pipeline.nodes:
            wanted = as_recorded(self._settings(node))
            for name in latest.keys() & set(node.outputs):
                made = self._records.made(name, latest[name])
                if made is None:
                    continue
                if difference := _difference(made["settings"], wanted):
                    raise InputError(
                        "outputs that are there were made with other parameters",
                        file=f"{name} {latest[name]}",
                        value=difference,
                        remedy=remedy,
                    )
                for behind, version in made["made_from"].items():
                    if latest.get(behind, version) != version:
                        raise InputError(
                            "outputs that are there do not belong together",
                            file=f"{name} {latest[name]}",
                            value=f"made from {behind} {version}, the latest is {latest[behind]}",
                            remedy="leave out --only-missing-outputs",
                        )


def _entries(names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if not name.startswith("params:"))


def _part(name: str) -> str:
    """The partition that an entry belongs to, such as "partition_1", or ""."""
    return name.rpartition(".")[0]


def _versions(dataset: Any) -> list[str]:
    """The newest first; none where it has none."""
    found: list[str] = dataset.list_versions(full_path=False)
    return found


def _save_version(dataset: Any) -> str | None:
    return dataset.resolve_save_version() if is_versioned(dataset) else None


def _pin(catalog: Any, versions: Mapping[str, str]) -> None:
    """Let entries of a catalog load these versions; Kedro itself pins only as it makes one."""
    for name, version in versions.items():
        if is_versioned(dataset := catalog.get(name)):
            dataset._version = Version(version, dataset._version.save)


def _listed(versions: Mapping[str, str]) -> str:
    """Entries by version: "samples, defect_masks of 2026-..."."""
    by_version: dict[str, list[str]] = {}
    for name, version in sorted(versions.items()):
        by_version.setdefault(version, []).append(name)
    return "; ".join(f"{', '.join(names)} of {v}" for v, names in sorted(by_version.items()))


def _run_of(name: str) -> str:
    pipeline = maker_of(name)
    return f"`kedro run --pipeline={pipeline}`" if pipeline else "the pipeline that makes it"


def _difference(was: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> str:
    """The first setting in which they differ, such as "masks.count = 4, now 5", or ""."""
    for key in now:
        before, value = was.get(key), now[key]
        if isinstance(before, dict) and isinstance(value, dict):
            if found := _difference(before, value, f"{prefix}{key}."):
                return found
        elif before != value:
            return f"{prefix}{key} = {before}, now {value}"
    return ""
