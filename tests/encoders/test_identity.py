"""An encoder is known by the files that decide its vectors, wherever they lie."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from tppc.encoders.identity import digest_of_encoder, folder_of, shown_name
from tppc.encoders.load import SETTINGS, Encoder, Translation, load_encoder, save_encoder
from tppc.encoders.scratch import make_encoder
from tppc.errors import TppcError


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return make_encoder("scratch:tiny", ["a small house", "a big house"] * 3, 1)


def test_the_digest_is_that_of_the_files_that_decide(encoder: Encoder, tmp_path: Path) -> None:
    for name in ("one", "two"):
        save_encoder(encoder, tmp_path / name)
    one, two = tmp_path / "one", tmp_path / "two"
    (two / "README.md").write_text("a card")
    assert digest_of_encoder(one) == digest_of_encoder(two)
    lines = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}\n" for p in sorted(one.iterdir())]
    assert digest_of_encoder(one) == hashlib.sha256("".join(lines).encode()).hexdigest()
    settings = two / SETTINGS
    settings.write_text(settings.read_text().replace("mean", "cls"))
    assert digest_of_encoder(one) != digest_of_encoder(two)


def test_a_folder_is_where_it_is_and_shown_by_its_last_name(tmp_path: Path) -> None:
    assert folder_of(str(tmp_path)) == tmp_path
    assert shown_name(str(tmp_path / "secret" / "mine")) == "mine"
    assert shown_name("intfloat/multilingual-e5-small") == "intfloat/multilingual-e5-small"
    with pytest.raises(TppcError, match=r"no config\.json"):
        digest_of_encoder(tmp_path)


def test_a_name_that_the_hub_does_not_know_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tppc.encoders.identity.hub_answers", lambda: False)
    with pytest.raises(TppcError, match="cannot load the encoder 'nobody/nothing'"):
        folder_of("nobody/nothing")


def test_the_translation_head_travels_with_the_encoder(encoder: Encoder, tmp_path: Path) -> None:
    head = Translation("cosine", 20.5, -11.25)
    save_encoder(replace(encoder, translation=head), tmp_path)
    assert load_encoder(str(tmp_path)).translation == head
    text = (tmp_path / SETTINGS).read_text()
    for wrong in ('"hyperbolic"', '"cosine", "more": 1'):
        (tmp_path / SETTINGS).write_text(text.replace('"cosine"', wrong))
        with pytest.raises(TppcError, match="translation head"):
            load_encoder(str(tmp_path))
