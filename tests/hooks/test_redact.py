"""What MLflow is told: no secrets, and only names it takes."""

from __future__ import annotations

import pytest
from mlflow.utils.validation import _validate_metric_name, _validate_param, _validate_tag

from defectsynth_pipeline.hooks.redact import redact, redact_command, redact_setting, safe_name

SECRETS = {
    "postgresql://me:p@ss@host:5432/x": "postgresql://***@host:5432/x",
    "--params=root=/x,token=abc def,masks.count=3": "--params=root=/x,token=***,masks.count=3",
    "https://x/y?X-Amz-Signature=ab%2F&z=1": "https://x/y?X-Amz-Signature=***&z=1",
    '{"api_key": "abc", "n": 1}': '{"api_key": "***", "n": 1}',
    "fetched with hf_abcdefghijklmnopqrstuvwx": "fetched with ***",
}
HARMLESS = [
    "--params=synthesis.sff.enabled=false",
    "/home/me@work/parts",
    "prompts.defect=a {type}",
]


@pytest.mark.parametrize(("text", "expected"), SECRETS.items())
def test_secrets_are_hidden(text, expected):
    assert redact(text) == expected


@pytest.mark.parametrize("text", HARMLESS)
def test_the_rest_is_kept(text):
    assert redact(text) == text


def test_a_command_can_be_pasted():
    command = ["kedro", "run", "--params=arms.names=base geometric,hub.token=abc"]
    assert redact_command(command) == "kedro run '--params=arms.names=base geometric,hub.token=***'"


def test_a_setting_is_hidden_for_its_name():
    assert redact_setting("hub.token", "abc") == "***"
    assert redact_setting("masks.count", 3) == "3"


@pytest.mark.parametrize(
    "name",
    ["part/dent (x)", "a" * 300, "..", "/x", "a//b", "a/", "<script>", "a\nb", ".a", "b/" * 200],
)
def test_mlflow_takes_every_name(name):
    safe = safe_name(name)
    _validate_metric_name(safe)
    _validate_param(safe, "1")
    _validate_tag(safe, "1")


def test_names_that_mlflow_takes_stay_and_others_stay_apart():
    assert safe_name("Größe №1".replace("№", "")) == "Größe 1"
    assert safe_name("裂纹/板") == "裂纹/板"
    assert safe_name("a(b") != safe_name("a)b")
