"""Every figure is well-formed SVG that stands alone, names itself, and has the same bytes each time."""

import re
from collections.abc import Callable
from xml.etree import ElementTree as ET

import matplotlib
import numpy as np
import pytest

from tppc.reports import figures
from tppc.reports.geometry import Sides, change

HOSTILE = '</svg><script>window.pwned=1</script> $x$ "&\u202e'
_RANDOM = np.random.default_rng(0)
_A, _B = _RANDOM.random(30), _RANDOM.random(30)
_EMPTY = np.empty(0)
_PLANE = Sides(_RANDOM.random((9, 2)), _RANDOM.random((9, 2)))

FIGURES: dict[str, Callable[[str], str]] = {
    "lines": lambda n: figures.lines(n, HOSTILE, [figures.Series(HOSTILE, [1, 2], [3, 1])], "loss", marks=[2.0]),
    "one point": lambda n: figures.lines(n, "t", [figures.Series("a", [1], [3])], "loss", floor=0.0),
    "histograms": lambda n: figures.histograms(n, "t", [figures.Histogram(HOSTILE, [0, 1, 3], [5, 2])], "x"),
    "no rows": lambda n: figures.histograms(n, "t", [figures.Histogram("a", [0, 1, 3], [0, 0])], "x"),
    "scatter": lambda n: figures.scatter(n, "t", (_A, _B), (_B, _A), "cosine"),
    "scatter of one kind": lambda n: figures.scatter(n, "t", (_A, _A), (_EMPTY, _EMPTY), "cosine"),
    "change": lambda n: figures.change_histogram(n, "t", (_A - _B, change(_B, _A, 0)), None, "cosine"),
    "no change": lambda n: figures.change_histogram(n, "t", (_A - _A, change(_A, _A, 0)), None, "cosine"),
    "map": lambda n: figures.pair_map(n, "t", _PLANE, np.concatenate([_PLANE.src, _PLANE.tgt]), (HOSTILE, "हिन्दी")),
    "forest": lambda n: figures.forest(n, "t", [figures.Bar(HOSTILE, 1.5, 0.5), figures.Bar("b", -1.0, None)], "x"),
}


@pytest.mark.parametrize("make", FIGURES.values(), ids=FIGURES.keys())
def test_a_figure_is_one_svg_element_that_names_itself_and_needs_nothing(make: Callable[[str], str]) -> None:
    svg = make("fig-1")
    root = ET.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    ids = [e.attrib["id"] for e in root.iter() if "id" in e.attrib]
    assert len(ids) == len(set(ids))
    assert all(i.startswith("fig-1-") for i in ids)
    assert set(root.attrib["aria-labelledby"].split()) <= set(ids)
    assert {m for m in re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', svg) for m in m if m} <= set(ids)
    assert "script" not in {e.tag.rpartition("}")[2] for e in root.iter()}
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", svg)
    assert make("fig-1") == svg


def test_hostile_labels_are_text_and_a_dollar_is_a_dollar() -> None:
    svg = figures.lines("f", HOSTILE, [figures.Series(HOSTILE, [1, 2], [3, 1]), figures.Series("b", [1], [2])], "loss")
    texts = ["".join(e.itertext()) for e in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert '</svg><script>… $x$ "&⟨U+202E⟩' in texts


def test_colours_are_the_pages_variables() -> None:
    svg = figures.lines("f", "t", [figures.Series("a", [1, 2], [3, 1])], "loss")
    assert "var(--c1)" in svg
    assert "#0102" not in svg


def test_the_readers_own_matplotlib_settings_change_nothing() -> None:
    plain = figures.lines("f", "t", [figures.Series("a", [1, 2], [3, 1])], "loss")
    with matplotlib.rc_context({"font.size": 30, "axes.grid": False, "svg.fonttype": "path"}):
        assert figures.lines("f", "t", [figures.Series("a", [1, 2], [3, 1])], "loss") == plain
        assert matplotlib.rcParams["font.size"] == 30


def test_a_long_line_is_drawn_as_means_of_equal_runs() -> None:
    x, y = figures.thinned(list(range(1000)), [1.0] * 500 + [3.0] * 500, points=10)
    assert len(x) == 10
    assert y.tolist() == [1.0] * 5 + [3.0] * 5
    assert x[0] == pytest.approx(49.5)


def test_a_lasting_alarm_is_one_band_and_many_are_few() -> None:
    assert figures.spans([5.0], 100) == [(5.0, 5.0)]
    assert figures.spans([1, 2, 3, 50, 90, 91], 100) == [(1, 3), (50, 50), (90, 91)]
    steps = [float(s) for s in range(20_000)]
    assert len(figures.spans(steps[::2], 20_000)) == 1
    assert len(figures.spans(steps[::220], 20_000)) <= 101
    svg = figures.lines("f", "t", [figures.Series("a", steps, steps)], "loss", marks=steps[100:])
    assert len(svg) < 20_000
    assert "steps with an alarm: 19900." in svg


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("character", ["W", "語", "\u202e"])
def test_a_long_label_is_shortened_and_leaves_the_axes_room(character: str) -> None:
    label = "runs " + character * 400 + " end"
    assert len(figures.shortened(label)) == 30
    assert figures.shortened(label).endswith("end")
    assert figures.shortened("short") == "short"
    series = [figures.Series(label + str(i), [1, 2], [3, 1]) for i in range(40)]
    figures.forest("f", "t", [figures.Bar(label, 1.5, 0.5)], "x")
    figures.lines("f", "t", series, "loss")
    figures.histograms("f", "t", [figures.Histogram(label, [0, 1, 3], [5, 2])] * 2, "x")
    figures.pair_map("f", "t", _PLANE, np.concatenate([_PLANE.src, _PLANE.tgt]), (label, label))


def test_the_description_states_the_numbers() -> None:
    svg = figures.lines("f", "t", [figures.Series("tpp", [10, 20], [2.0, 0.5])], "loss", marks=[20.0])
    assert "tpp goes from 2 at step 10 to 0.5 at step 20; steps with an alarm: 1." in svg


def test_histograms_of_other_bins_compare() -> None:
    """Even distributions over the same range stand equally high, whatever their bins, also where edges were rounded."""
    wide = figures.density(np.array([0.0, 3.3333, 6.6667, 10.0]), np.array([30.0, 30.0, 30.0]))
    narrow = figures.density(np.array([0.0, 2.5, 5.0, 7.5, 10.0]), np.full(4, 10.0))
    assert np.allclose(wide, 0.1, atol=1e-5)
    assert np.allclose(narrow, 0.1)
