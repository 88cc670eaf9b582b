"""Each filter refuses what it is for and nothing near it; normalisation never changes a word."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tppc.builders.build import build
from tppc.builders.filters import FILTERS, reason, repetition
from tppc.builders.filters.base import only_where
from tppc.builders.filters.characters import share_of
from tppc.builders.filters.repetition import repeats
from tppc.builders.learn import COUNT, median_ratio
from tppc.builders.normalise import normalise
from tppc.builders.recipe import Recipe, load_recipe, origins
from tppc.builders.sources import source_named
from tppc.corpora.languages import parse_pair
from tppc.errors import TppcError, UsageError

OLD = "यह घर बहुत पुराना है।"


def reasons(rows: list[tuple[str, str]], pair: str = "en-hi", recipe: Recipe | None = None) -> list[str | None]:
    """The reason of each row."""
    frame = pl.DataFrame(
        {"src_text": [normalise(s) for s, _ in rows], "tgt_text": [normalise(t) for _, t in rows]}
    ).with_columns(score=pl.lit(1.1, pl.Float32))
    return frame.with_columns(reason((recipe or Recipe()).filters.by_name(), parse_pair(pair)))["reason"].to_list()


REFUSED = [
    ("empty", "This house is old.", "\u200b \ufeff"),
    ("mojibake", "This house is very old.", OLD.encode().decode("latin-1")),
    ("mojibake", "The caf\u00c3\u00a9 is tr\u00c3\u00a8s old.", OLD),
    ("control_characters", "This house\x08 is old.", OLD),
    ("control_characters", "This house is old.", OLD[:4] + "\ufffd" + OLD[4:]),
    ("length", "old " * 300, OLD * 60),
    ("words", "a b c d " * 60, "यह घर " * 100),
    ("identical", "This house is very old.", "this house is VERY old."),
    ("near_identical", "This house is very old.", "this house is very, old!"),
    ("mojibake", "This house is old.", "Р­С‚РѕС‚ РґРѕРј СЃС‚Р°СЂ."),
    ("markup", "This house is very old.", f"<ref name='x'>{OLD}</ref>"),
    ("markup", "This house is &nbsp; old.", OLD),
    ("markup", "[[This house]] is old.", OLD),
    ("url", "https://example.org/a/very/long/path.html old", OLD),
    ("url", "write to someone.with.long.name@example.org", OLD),
    ("code", "printf(buffer, %s) >> /usr/lib/output.txt", OLD),
    ("code", "C:\\\\Windows\\\\system32 --help", OLD),
    ("letters", "12.5 - 13.9 (45%) a", "१२.५ - १३.९ (४५%) ---- ।।"),
    ("repetition", "old old old old old old old old old old", OLD * 2),
    ("repetition", "This house is very very old, oh so old.", "हा" * 20),
    ("repetition", "This house is in Romeooooooooooooo.", OLD),
    ("repetition", "This house was old.", "यह घर पुराना था था था था था था था था।"),
    ("script", "This house is very old.", "Ce maison est bien vieille."),
    ("script", OLD, "This house is very old."),
    ("mixed_scripts", "This h\u043euse is very \u043eld.", OLD),
    ("numbers", "This house is 150 years old.", "यह घर 1500 साल पुराना है।"),
    ("numbers", "This house is 150 years old.", "यह घर १५०० साल पुराना है।"),
    ("length_ratio", "This house is very old and nobody has lived in it for years.", "यह घर"),
    ("numbers", "It cost about 30,000 rupees (477).", "इसका दाम लगभग 3万 रुपये था (7327)।"),
    ("numbers", "On the 3rd of May 1998 he was 45.", "3 मई 1998 को वह 54 का था।"),
    ("terminal_punctuation", "A man must work.", "एक आदम"),
    ("terminal_punctuation", "The tall man", "उस लंबे आदमी ने खाना खा।"),
    ("sentences", "I met them in the old town.", "मैं उनसे मिला। वह आया। हम गए। कल भी जाना है।"),
    ("length_ratio", "This house is old.", f"{OLD} {OLD} वहाँ कोई नहीं रहता।"),
]


@pytest.mark.parametrize(("name", "src", "tgt"), REFUSED, ids=[f"{n}-{i}" for i, (n, *_) in enumerate(REFUSED)])
def test_faults_are_refused_for_their_reason(name: str, src: str, tgt: str) -> None:
    assert reasons([(src, tgt)]) == [name]


@pytest.mark.parametrize(
    ("pair", "src", "tgt"),
    [
        ("en-hi", "This house is 1,500 years old.", "यह घर १५०० साल पुराना है।"),
        ("en-hi", "I have three brothers.", "मेरे 3 भाई हैं।"),
        ("en-ja", "It costs 20,000 yen.", "それは２万円です。"),
        ("en-ja", "Are you on Facebook?", "Facebookやってる？"),
        ("en-ja", "Coffee, please.", "コーヒーをください。"),
        ("en-ja", "Berlin", "ベルリン"),
        ("en-ar", "I'm 19.", "أنا في 19"),
        ("en-ar", "Thank you very much!", "شكرًا جزيلًا!"),
        ("en-hi", "No way!!!!!!", "बिल्कुल नहीं!!!!!!"),
        ("en-hi", "This is sooooo good, hahahaha!", "यह बहुत बहुत अच्छा है, हाहाहाहा!"),
        ("en-hi", "I have waited so long ........................", "मैंने बहुत इंतज़ार किया ........................"),
        ("en-hi", "Colo_r of the menu (%PRODUCTNAME)", "मेनू का रंग (_र) (%PRODUCTNAME)"),
        ("en-fr", "Anna Karenina", "Anna Karénine"),
        ("en-ja", "Two T-shirts and a WhatsApp message.", "Tシャツ2枚とWhatsAppのメッセージ。"),
        ("en-ru", "The Greek letter α and the word дом.", "Греческая буква α и слово дом."),
        ("en-ja", "30,000 people live here.", "ここには3万人が住んでいる。"),
        ("en-hi", "Run!", "भागो"),
        ("en-hi", "What? Really? You? No!", "क्या सच में तुम ही वह आदमी हो?"),
        ("en-th", "This house is very old and very beautiful.", "บ้านหลังนี้เก่าและสวย"),
        ("en-ja", "He said so. She did not. Nobody knew.", "彼はそう言い、彼女は言わず、誰も知らなかった。"),
        ("en-hi", "a < b and c > d holds here", "यहाँ a < b और c > d सही है"),
        (
            "en-hi",
            "See https://example.org for the opening hours of the museum.",
            "संग्रहालय के खुलने का समय https://example.org पर देखें।",
        ),
        ("en-fr", "The café is à côté.", "Le café est à côté."),
        ("en-de", "She sings Ännchen von Tharau.", "Sie singt »Ännchen von Tharau«."),
    ],
)
def test_good_pairs_near_the_limits_pass(pair: str, src: str, tgt: str) -> None:
    assert reasons([(src, tgt)], pair) == [None]


def test_every_filter_can_be_switched_off_and_explains_itself() -> None:
    for name, src, tgt in REFUSED:
        recipe = load_recipe(None, filters={name: {"enabled": False}})
        assert reasons([(src, tgt)], recipe=recipe) != [name]
    assert {f.name for f in FILTERS} == {name for name, *_ in REFUSED} | {"score"}
    assert all(len(f.reason) > 40 for f in FILTERS)


def test_recipes_refuse_what_they_do_not_know(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text("[filters.lenght]\nmax_chars = 3\n")
    with pytest.raises(UsageError, match=r"recipe\.toml: filters\.lenght: unknown key"):
        load_recipe(path)
    path.write_text("[filters.length]\nmax_chars = 0\n")
    with pytest.raises(UsageError, match=r"filters\.length\.max_chars"):
        load_recipe(path)
    path.write_text("[filters")
    with pytest.raises(TppcError, match="not valid TOML"):
        load_recipe(path)
    with pytest.raises(TppcError, match="cannot read the recipe"):
        load_recipe(path.with_name("none.toml"))
    path.write_text("[filters.length]\nmax_chars = 30\n[holdout]\ndev = 7\n")
    recipe = load_recipe(path, holdout={"test": 5})
    source = source_named("wikimatrix")
    assert (recipe.resolved(source)["filters"]["length"]["max_chars"], recipe.holdout.dev, recipe.holdout.test) == (
        30,
        0,
        5,
    )
    assert recipe.digest(source) != Recipe().digest(source)


@given(st.text())
def test_normalisation_is_idempotent_and_keeps_every_letter_and_mark(text: str) -> None:
    found = normalise(text)
    assert normalise(found) == found
    assert unicodedata.is_normalized("NFC", found)

    def solid(value: str) -> str:
        return "".join(c for c in unicodedata.normalize("NFC", value) if unicodedata.category(c)[0] in "LMN")

    assert solid(found) == solid(text)


def test_normalisation_respects_joiners_and_marks() -> None:
    assert normalise("क्\u200dष  नहीं\u00a0") == "क्\u200dष नहीं"
    assert normalise("می\u200cخواهم") == "می\u200cخواهم"
    for code in range(0x110000):
        if unicodedata.category(chr(code)) in ("Mn", "Mc", "Me"):
            text = "क" + chr(code)
            assert normalise(text) == unicodedata.normalize("NFC", text)


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(st.text("ab c.", max_size=12), st.text("abc. ", min_size=1, max_size=16), st.integers(0, 9)),
        max_size=6,
    )
)
def test_repetition_finds_what_a_back_reference_finds(rows: list[tuple[str, str, int]]) -> None:
    texts = [f"{head}{unit * times}" for head, unit, times in rows]

    def expected(text: str) -> bool:
        """By the definition, character by character."""
        for start in range(len(text)):
            for unit in range(1, 17):
                run = unit
                while start + run < len(text) and text[start + run] == text[start + run - unit]:
                    run += 1
                if run >= 4 * unit and run >= 9 and any(c.isalpha() for c in text[start : start + unit]):
                    return True
        return False

    assert repeats(pl.Series(texts, dtype=pl.String), 4, 9).to_list() == [expected(t) for t in texts]


def test_repetition_is_linear_in_the_characters() -> None:
    """Two million places that match took minutes once; the test's time limit is the assertion."""
    assert repeats(pl.Series(["-" * 1_000] * 2_000 + ["=" * 3_000_000, "ab" * 7]), 6, 12).to_list()[-2:] == [
        False,
        True,
    ]
    assert repeats(pl.Series([], dtype=pl.String), 6, 12).to_list() == []


@pytest.mark.parametrize(
    ("pair", "text"),
    [
        ("en-pt-BR", "Esta casa é muito velha e muito bonita."),
        ("en-kab", "Axxam-a d aqbur mliḥ."),
        ("en-bo", "ཁང་པ་འདི་རྙིང་པ་རེད། ཁང་པ་འདི་ཆེན་པོ་རེད།"),
        ("en-sr", "Ova kuća je veoma stara i lepa."),
    ],
)
def test_correct_text_of_rarer_languages_passes(pair: str, text: str, tmp_path: Path) -> None:
    sides = ["This house is very old and very beautiful.", text]
    codes = [side.wikimatrix for side in parse_pair(pair).languages]
    columns = sides if codes == sorted(codes) else sides[::-1]
    (tmp_path / "rows.tsv").write_text("\t".join(["1.1", *columns]) + "\n")
    (corpus,) = build("wikimatrix", [parse_pair(pair)], origin=str(tmp_path / "rows.tsv"), out=tmp_path)
    assert corpus.manifest.funnel.kept == {"train": 1}


@settings(deadline=None)
@given(st.lists(st.text(max_size=12), max_size=6))
def test_a_share_is_what_counting_one_by_one_gives(texts: list[str]) -> None:
    clean = [t.encode("utf-8", "ignore").decode() for t in texts]
    found = share_of(pl.Series(clean, dtype=pl.String), r"[\p{L}\p{M}]", r"\S").to_list()
    solid = [[c for c in t if pl.Series([c]).str.contains(r"\S").item()] for t in clean]
    letters = [sum(pl.Series([c]).str.contains(r"[\p{L}\p{M}]").item() for c in row) for row in solid]
    assert found == [n / max(len(row), 1) for n, row in zip(letters, solid, strict=True)]


@given(st.lists(st.tuples(st.text("ab", max_size=3), st.text("ab", max_size=3)), min_size=1, max_size=8))
def test_a_costly_test_sees_the_suspect_rows_alone_and_the_result_is_that_of_both(rows: list[tuple[str, str]]) -> None:
    frame = pl.DataFrame(rows, schema=["src_text", "tgt_text"], orient="row")
    seen: list[str] = []

    def costly(texts: pl.Series) -> pl.Series:
        seen.extend(texts.to_list())
        return texts.str.ends_with("b")

    suspect = pl.col("src_text").str.starts_with("a")
    test = pl.col("tgt_text").map_batches(costly, return_dtype=pl.Boolean)
    found = frame.select(only_where(suspect, test)).to_series().to_list()
    assert found == [a.startswith("a") and b.endswith("b") for a, b in rows]
    assert sorted(seen) == sorted(b for a, b in rows if a.startswith("a"))


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(st.text("ab नि12.,;é ", max_size=24).map(normalise), min_size=1, max_size=8),
    least=st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]),
    words=st.tuples(st.integers(0, 3), st.integers(1, 5)),
)
def test_quick_looks_decide_as_counting_does(texts: list[str], least: float, words: tuple[int, int]) -> None:
    """Of normalised texts, an empty one among them, and whatever stands before a filter."""
    rows = pl.DataFrame({"src_text": ["", *texts], "tgt_text": ["a good text"] * (len(texts) + 1)})

    def refused(name: str, **values: float) -> list[bool]:
        (one,) = (f for f in FILTERS if f.name == name)
        return rows.select(one.reject(one.settings(**values), parse_pair("en-hi")).alias("found"))["found"].to_list()

    shares = share_of(rows["src_text"], r"[\p{L}\p{M}]", r"\S").to_list()
    assert refused("letters", min_share=least) == [share < least for share in shares]
    low, high = words
    counts = [text.count(" ") + 1 for text in rows["src_text"]]
    wrong = [count < low or count > high or low > 3 or high < 3 for count in counts]
    assert refused("words", min_words=low, max_words=high) == wrong


DIGITS = [("45 लोग", "४६ लोग", True), ("४५", "٤٥", False), ("४५", "٤٦", True), ("45", "no", False), ("é", "46", False)]


@pytest.mark.parametrize(("src", "tgt", "wrong"), DIGITS)
def test_digits_of_any_script_are_compared(src: str, tgt: str, wrong: bool) -> None:
    (numbers,) = (f for f in FILTERS if f.name == "numbers")
    rows = pl.DataFrame({"src_text": [src], "tgt_text": [tgt]})
    assert rows.select(numbers.reject(numbers.settings(), parse_pair("hi-ar")).alias("r"))["r"].to_list() == [wrong]


def test_the_longest_word_is_looked_at_where_a_limit_is_set_and_never_in_japanese() -> None:
    recipe = load_recipe(None, filters={"words": {"max_word_chars": 20}})
    glued = "Thishouseisveryoldandnobodylivesinit."
    assert reasons([(glued, OLD)], recipe=recipe) == ["words"]
    assert reasons([(glued, OLD)]) == [None]
    japanese = "この家はとても古くて誰も住んでいませんでした。"
    assert reasons([("This house is very old and nobody lived in it.", japanese)], "en-ja", recipe) == [None]


def test_presets_differ_as_they_say() -> None:
    rows = [
        ("This house is very old.", OLD),
        ("Ok", "ठीक"),
        ("This house is very old.", "यह घर बहुत पुराना है। कल भी ऐसा ही था।"),
        ("", ""),
        ("इस घर में old house cat dog boy", "इस घर में old house cat dog boy है।"),
    ]
    assert reasons(rows, recipe=load_recipe(None, preset="none")) == [None] * 5
    assert reasons(rows)[:4] == [None, None, None, "empty"]
    assert reasons(rows, recipe=load_recipe(None, preset="strict"))[:4] == [None, "length", "sentences", "empty"]
    social = load_recipe(None, preset="social")
    assert social.normalise.mentions == "token"
    assert reasons([("so goooooooooood @anna", "कितना अच्छाााा @anna")], recipe=social) == [None]


def test_settings_come_from_the_preset_then_the_file_then_the_flags(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('preset = "strict"\n[filters.length]\nmax_chars = 77\n[filters.score]\nmin = 1.0\n')
    flags = {"filters": {"score": {"min": 1.1}}}
    recipe = load_recipe(path, **flags)
    named = recipe.filters.model_dump()
    assert (named["length"]["min_chars"], named["length"]["max_chars"], named["score"]["min"]) == (3, 77, 1.1)
    found = origins(path, **flags)
    assert found["filters.length.min_chars"] == "preset strict"
    assert found["filters.length.max_chars"] == str(path)
    assert found["filters.score.min"] == "command line"
    assert "filters.score.max" not in found
    # A flag chooses another preset, over which the file's own settings still come.
    named = load_recipe(path, preset="social").filters.model_dump()
    assert (named["length"]["min_chars"], named["length"]["max_chars"]) == (1, 77)
    path.write_text('preset = "stricter"\n')
    with pytest.raises(UsageError, match="preset 'stricter': there are default, strict, social, none"):
        load_recipe(path)


def ratio_rows(count: int) -> list[tuple[object, ...]]:
    """Pairs whose target has 1.5 characters for one of source, every tenth 6."""
    rows: list[tuple[object, ...]] = []
    for i in range(count):
        words = [WORDS[(i * 7 + k * k) % len(WORDS)] for k in range(8)]
        source = " ".join(w for w, _ in words) + f" {i % 97}."
        target = " ".join(t for _, t in words)
        wanted = len(source) * (6 if i % 10 == 0 else 1.5)
        while len(target) < wanted:
            target += " " + WORDS[(i + len(target)) % len(WORDS)][1]
        rows.append((1.1, source, target[: int(wanted)] + f" {i % 97}।"))
    return rows


WORDS = [
    ("house", "घर"), ("river", "नदी"), ("tree", "पेड़"), ("water", "पानी"), ("road", "सड़क"), ("moon", "चाँद"),
    ("friend", "दोस्त"), ("night", "रात"), ("winter", "सर्दी"), ("book", "किताब"), ("teacher", "अध्यापक"),
]  # fmt: skip


def test_the_length_ratio_is_learned_from_the_whole_data_whatever_the_workers(tmp_path: Path) -> None:
    lines = ["\t".join(map(str, row)) for row in ratio_rows(600)]
    (tmp_path / "rows.tsv").write_text("\n".join(lines) + "\n")
    recipe = load_recipe(
        None,
        filters={"length_ratio": {"target_per_source": "learned"}, "repetition": {"enabled": False}},
        language_id={"enabled": False},
        dedup={"near": "off"},
    )
    made = []
    for workers in (1, 2):
        (corpus,) = build(
            "wikimatrix",
            [parse_pair("en-hi")],
            origin=str(tmp_path / "rows.tsv"),
            out=tmp_path / str(workers),
            recipe=recipe,
            workers=workers,
        )
        made.append(corpus)
    counts = made[0].manifest.source_counts
    assert counts[COUNT] == pytest.approx(1_530, abs=60)
    assert made[0].manifest.funnel.rejected == {"length_ratio": 60}
    assert made[0].manifest.build_digest == made[1].manifest.build_digest
    # The language table says 1.0, which is not wrong enough for the usual limit to notice.
    tight = {"max_ratio": 1.3, "min_deviation": 2.0}
    short = load_recipe(None, filters={"length_ratio": {**tight, "target_per_source": "learned"}})
    settings_ = short.filters.by_name(learned=counts[COUNT] / 1_000)
    frame = pl.DataFrame([r[1:] for r in ratio_rows(9)][1:], schema=["src_text", "tgt_text"], orient="row")
    one = next(f for f in FILTERS if f.name == "length_ratio")
    pair = parse_pair("en-hi")
    assert not frame.select(one.reject(settings_["length_ratio"], pair)).to_series().any()
    table = load_recipe(None, filters={"length_ratio": tight}).filters.by_name()
    assert frame.select(one.reject(table["length_ratio"], pair)).to_series().all()
    # Filters that compare lengths too take what length_ratio was given.
    assert settings_["sentences"].target_per_source == counts[COUNT] / 1_000  # type: ignore[attr-defined]


def test_too_few_rows_teach_nothing() -> None:
    assert median_ratio({10: 199}) is None
    assert median_ratio({0: 100, 10: 1, 139: 100}) == pytest.approx(1.051)


@settings(max_examples=80, deadline=None)
@given(
    texts=st.lists(st.text("ab न.", max_size=60), max_size=8),
    min_times=st.integers(2, 7),
    min_run=st.integers(2, 20),
)
def test_the_quick_look_for_repetition_misses_no_run(texts: list[str], min_times: int, min_run: int) -> None:
    column = pl.Series([*texts, "ab" * 12, "x" + "नमस्ते" * 7], dtype=pl.String)
    whole = repetition._repeats(column, min_times, min_run)
    assert repetition.repeats(column, min_times, min_run).to_list() == whole.tolist()
