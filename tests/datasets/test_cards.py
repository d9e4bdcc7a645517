"""What Kedro-Viz shows of texts and models."""

from __future__ import annotations

import json
import re

import torch
from safetensors.torch import save_file

from defectsynth_pipeline.datasets.cards import from_markdown, model_card
from defectsynth_pipeline.datasets.file import TextDataset


def plain(card: str) -> list[str]:
    """The cells of a card as they are read."""
    return [
        re.sub(r"<[^>]*>|\u2028", "", cell) for cell in re.findall(r"<t[dh]>(.*?)</t[dh]>", card)
    ]


def test_markdown_becomes_one_line_of_html_without_its_own_html():
    shown = from_markdown("# A\n\n| x |\n| --- |\n| <b>y</b> |\n\n<script>z</script>\n")
    assert "\n" not in shown
    assert plain(shown) == ["x", "&lt;b&gt;y&lt;/b&gt;"]
    assert "<script>" not in shown


def test_what_kedro_viz_would_take_for_emphasis_stays():
    shown = from_markdown("`crop_paste` and normals_only, [a_b](https://x/a_b)")
    assert re.search(r"_[^\u2028]*?_", re.sub(r"<a [^>]*>", "", shown)) is None
    assert 'href="https://x/a_b"' in shown
    assert "crop_" in shown


def test_a_card_tells_settings_and_counts_parameters(tmp_path):
    (tmp_path / "meta.json").write_text(json.dumps({"steps": 400, "validation_loss": 0.12345678}))
    (tmp_path / "unet").mkdir()
    weights = {"a": torch.zeros(3, 4), "b": torch.zeros(5)}
    save_file(weights, tmp_path / "unet" / "x.safetensors", metadata={"format": "pt"})
    cells = plain(model_card(tmp_path))
    assert cells[:6] == ["setting", "value", "steps", "400", "validation_loss", "0.1235"]
    assert cells[6:] == ["weights", "parameters", "size", "unet/x.safetensors", "17", "0.0 MiB"]


def test_a_card_of_many_is_a_table_and_a_readme_wins(tmp_path):
    for number, arm in enumerate(["base", "crop_paste"]):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "meta.json").write_text(json.dumps({"arm": arm, "options": {}}))
    assert plain(model_card(tmp_path)) == ["arm", "base", "crop_paste"]
    (tmp_path / "README.md").write_text("# Mine")
    assert model_card(tmp_path) == "<h1>Mine</h1>"


def test_a_text_is_shown_as_a_page(tmp_path):
    dataset = TextDataset(filepath=str(tmp_path / "page.md"))
    dataset.save("**pays**")
    assert dataset.preview() == "<p><strong>pays</strong></p>"
