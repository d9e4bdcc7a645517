"""What a run will cost on this machine, told before it is paid."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from defectsynth_pipeline.cli.project import find_project
from defectsynth_pipeline.hooks.forecast import forecaster, settings_of


def plan(
    *, env: str | None, params: dict[str, Any], root: Path | None, minutes: float | None
) -> Iterator[str]:
    """Measure a few seconds and yield what to expect, line by line.

    Args:
        env: Environment of conf/; None is the default one.
        params: Nested parameters.
        root: Folder of parts; None leaves it to the settings.
        minutes: Settings are looked for that fit into so many, both pipelines; None: as asked.

    Raises:
        InputError: Nothing fits, or the parts cannot be read.
    """
    from kedro.framework.session import KedroSession

    from defectsynth_pipeline.corpora.samples import make_samples
    from defectsynth_pipeline.forecast.fitting import fit

    if root is not None:
        params = params | {"root": str(root.expanduser().absolute())}
    project = find_project(Path.cwd())
    session: Any = KedroSession.create(project_path=project, env=env, runtime_params=params)
    with session:
        context = session.load_context()
        catalog, parameters = context.catalog, context.params
        corpora = catalog["corpora"].load()
        settings, framing, ingest = settings_of(parameters)
        samples = make_samples([corpus.root for corpus in corpora], ingest)
        forecast_of = forecaster(samples, catalog["base_model"].load(), settings, framing, project)
    if minutes is None:
        found, given = forecast_of(settings), {"augment": "", "downstream": ""}
    else:
        fitted = fit(settings, samples["category"].nunique(), minutes, forecast_of)
        found, given = fitted.forecast, fitted.parameters
        given_up = ", ".join(fitted.given_up) or "nothing"
        yield f"to fit into {minutes:g} minutes, given up: {given_up}"
    yield from found.lines()
    more = {"augment": [f"root={params['root']}"] if "root" in params else [], "downstream": []}
    for pipeline, changed in given.items():
        values = ",".join([*more[pipeline], *([changed] if changed else [])])
        words = ["kedro", "run", f"--pipeline={pipeline}", *([f"--env={env}"] if env else [])]
        yield shlex.join([*words, *([f"--params={values}"] if values else [])])
