"""Made pairs in the proportions of mined ones: 94 and 63 (Japanese 38) characters on average, 5% duplicates, 15%
faults.

python benchmarks/speed/pairs.py FOLDER [ROWS] [en-hi|en-ja]

writes WikiMatrix.en-hi.tsv.gz, pairs.en, pairs.hi, pairs.jsonl.
"""

from __future__ import annotations

import gzip
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

_EN = """the a old new long short river house city road school garden teacher doctor story window morning of in near
behind and was is not had with from many people government company water small number village during between
after before first second world war film music team season league football university century population
district province north south east west church family children book books language history science king queen
president minister party election island mountain forest bridge railway station airport river's Ganges Delhi
London Paris John Maria"""
_HI = """पुराना नया लंबा छोटा नदी घर शहर सड़क स्कूल बाग़ शिक्षक डॉक्टर कहानी खिड़की सुबह का में पास पीछे और था है नहीं
के साथ से बहुत लोग सरकार कंपनी पानी संख्या गाँव दौरान बीच बाद पहले पहला दूसरा विश्व युद्ध फ़िल्म संगीत टीम
मौसम लीग फुटबॉल विश्वविद्यालय शताब्दी जनसंख्या ज़िला प्रांत उत्तर दक्षिण पूर्व पश्चिम चर्च परिवार बच्चे किताब
किताबें भाषा इतिहास विज्ञान राजा रानी राष्ट्रपति मंत्री पार्टी चुनाव द्वीप पर्वत वन पुल रेलवे स्टेशन हवाई"""

_JA = """古い 新しい 長い 短い 川 家 都市 道路 学校 庭 先生 医者 物語 窓 朝 の 中に 近く 後ろ と です でした ない
ありました 持っていた から 多くの 人々 政府 会社 水 小さな 数 村 間に あとで 前に 最初の 第二次 世界 戦争 映画
音楽 チーム 季節 リーグ サッカー 大学 世紀 人口 地区 県 北 南 東 西 教会 家族 子供たち 本 書籍 言語 歴史 科学 王
女王 大統領 大臣 政党 選挙 島 山 森 橋 鉄道 駅 空港 ガンジス川 デリー ロンドン パリ"""
# Words of the target, what stands between them, what ends a sentence, and words for one of English.
_TARGETS = {"en-hi": (_HI, " ", "।", (0.75, 1.05)), "en-ja": (_JA, "", "。", (0.9, 1.2))}


def made_pairs(rows: int, pair: str = "en-hi", seed: int = 1234) -> Iterator[tuple[str, str]]:
    """Pairs of sentences; the same for the same seed."""
    draw = random.Random(seed)
    target, space, stop, lengths = _TARGETS[pair]
    english, foreign = _EN.split(), target.split()
    past: list[tuple[str, str]] = []
    for number in range(rows):
        words = min(40, max(3, int(draw.lognormvariate(2.6, 0.45))))
        src = " ".join(draw.choices(english, k=words)).capitalize()
        tgt = space.join(draw.choices(foreign, k=max(2, int(words * draw.uniform(*lengths)))))
        if draw.random() < 0.3:
            digits = str(draw.randrange(2050))
            src, tgt = f"{src} {digits}", f"{tgt} {digits}"
        src, tgt = f"{src}.", tgt + (stop if draw.random() < 0.8 else ".")
        fault = draw.random()
        if fault < 0.05 and past:
            src, tgt = draw.choice(past)
        elif fault < 0.07:
            tgt = src
        elif fault < 0.10:
            tgt = tgt[: len(tgt) // 4]
        elif fault < 0.12:
            src, tgt = tgt, src
        elif fault < 0.14:
            tgt = " ".join(draw.choices(english, k=words))
        elif fault < 0.17:
            tgt = f"{tgt} {tgt} {tgt}"
        elif fault < 0.18:
            tgt = f"http://www.example.org/{number}"
        elif fault < 0.20:
            src = f"“{src}” – cafe\u0301 ﬁne"
        if len(past) < 10_000:
            past.append((src, tgt))
        yield src, tgt


def write_pairs(folder: Path, rows: int, pair: str = "en-hi") -> None:
    """Write the pairs in the form that each tool reads best."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        gzip.open(folder / f"WikiMatrix.{pair}.tsv.gz", "wt", compresslevel=1, encoding="utf-8") as table,
        (folder / "pairs.en").open("w", encoding="utf-8") as english,
        (folder / f"pairs.{pair[3:]}").open("w", encoding="utf-8") as foreign,
        (folder / "pairs.jsonl").open("w", encoding="utf-8") as lines,
    ):
        for number, (src, tgt) in enumerate(made_pairs(rows, pair)):
            table.write(f"{1.3 - number / rows / 4:.6f}\t{src}\t{tgt}\n")
            english.write(f"{src}\n")
            foreign.write(f"{tgt}\n")
            lines.write(json.dumps({"id": str(number), "text": src, "tgt": tgt}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    write_pairs(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000, *sys.argv[3:4])
