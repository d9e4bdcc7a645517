"""What only memory holds is made again where a run begins behind it."""

from __future__ import annotations

import logging
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import MemoryDataset
from kedro.pipeline import Pipeline
from kedro.runner import SequentialRunner

logger = logging.getLogger(__name__)


class MemoryRefill:
    """Lets `--from-nodes` and `--nodes` begin anywhere, also behind `open_bank`."""

    @hook_impl
    def after_context_created(self, context: Any) -> None:
        """Keep the hooks, so that what is made again is tracked as any node is."""
        self._hooks = context._hook_manager

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Any, catalog: Any) -> None:
        """Run the nodes whose results the pipeline needs from memory and does not make itself.

        Kedro calls `on_pipeline_error` for a run only once this hook has returned.
        """
        nodes = lost_nodes(pipeline, catalog)
        if nodes.nodes:
            lost = sorted(nodes.all_outputs() & pipeline.inputs())
            logger.info("making %s again, which is kept in memory only", ", ".join(lost))
            try:
                SequentialRunner().run(nodes, catalog, self._hooks)
            except Exception as error:
                self._hooks.hook.on_pipeline_error(
                    error=error, run_params=run_params, pipeline=pipeline, catalog=catalog
                )
                raise


def lost_nodes(pipeline: Pipeline, catalog: Any) -> Pipeline:
    """The nodes whose results a pipeline reads from memory, where nothing is, and does not make.

    With them come those that they read from memory in turn.
    """
    found = Pipeline([])
    while True:
        lost = {
            name
            for name in (pipeline + found).inputs()
            if isinstance(catalog.get(name), MemoryDataset) and not catalog.exists(name)
        }
        registered = pipelines.values() if lost else ()
        makers = {n for p in registered for n in p.nodes if lost.intersection(n.outputs)}
        if makers <= set(found.nodes):
            return found
        found += Pipeline(makers)


def maker_of(name: str) -> str | None:
    """The pipeline that makes an entry or has a node, by the name that people type, or None."""
    pipelines.set_requested(None)  # a run loads the pipelines alone that it was asked for
    order = ["augment", "downstream", *sorted(pipelines, key=lambda one: len(pipelines[one].nodes))]
    return next((one for one in order if name in _made_in(pipelines[one])), None)


def _made_in(pipeline: Pipeline) -> set[str]:
    return pipeline.all_outputs() | {node.name for node in pipeline.nodes}
