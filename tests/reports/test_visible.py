"""Hidden characters of a stranger's text are shown, and nothing of it becomes mark-up."""

import pytest

from tppc.evaluation.visible import visible
from tppc.reports.visible import marked


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("abc\u202egnp.exe", "abc⟨U+202E⟩gnp.exe"),
        ("a\tb\nc\x00", "a⟨U+0009⟩b⟨U+000A⟩c⟨U+0000⟩"),
        ("soft\u00adhyphen", "soft⟨U+00AD⟩hyphen"),
        ("\ud800", "⟨U+D800⟩"),
        ("pay\u200dpal", "pay⟨U+200D⟩pal"),
        ("हिन्दी, عربي, 日本語", "हिन्दी, عربي, 日本語"),
        ("क्\u200dष می\u200cخواهم", "क्\u200dष می\u200cخواهم"),
    ],
)
def test_controls_are_written_out_and_joiners_that_spelling_needs_are_kept(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_a_run_of_joiners_cannot_hide() -> None:
    assert visible("क\u200d\u200dष") == "क⟨U+200D⟩⟨U+200D⟩ष"


def test_marked_escapes_the_text_and_names_the_control() -> None:
    html = marked("<b>\u202e&")
    assert html == '&lt;b&gt;<span class="ctl" title="RIGHT-TO-LEFT OVERRIDE">⟨U+202E⟩</span>&amp;'
