"""The command `defectsynth`, also as `python -m defectsynth_pipeline`."""

from __future__ import annotations

import os
from pathlib import Path

from defectsynth_pipeline.cli import cli
from defectsynth_pipeline.cli.project import shipped_conf


def main() -> None:
    """Run the command; of an `InputError` only its message is shown."""
    if not Path("conf/logging.yml").is_file():
        os.environ.setdefault("KEDRO_LOGGING_CONFIG", str(shipped_conf() / "logging.yml"))
    # Kedro, which this imports, sets up its logging at once.
    from defectsynth_pipeline.hooks.console import quiet_libraries, show_input_errors

    quiet_libraries()
    show_input_errors()
    cli(prog_name="defectsynth")


if __name__ == "__main__":
    main()
