"""Words of every script are comparable, and the quick path for ASCII gives the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.tokenizers.tokenizer_zh import TokenizerZh

from tinymed.evaluate.metrics.honest import open_exact_match, open_recall, open_token_f1
from tinymed.evaluate.metrics.words import normalized_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("左下肺", "左 下 肺"),
        ("这是T2加权的核磁共振图像。", "这 是 t2 加 权 的 核 磁 共 振 图 像"),
        ("脑水肿,增强型脑肿瘤", "脑 水 肿 增 强 型 脑 肿 瘤"),
        ("ＣＴ　扫描（腹部）", "ct 扫 描 腹 部"),
        ("约3.5cm、1,000", "约 3.5cm 1000"),
        ("𠀀〇々", "𠀀 〇 々"),
        ("レントゲン、あり", "レ ン ト ゲ ン あ り"),
        ("ﾚﾝﾄｹﾞﾝ", "レ ン ト ゲ ン"),
        ("ปอดอักเสบ 12", "ป อ ด อั ก เ ส บ 12"),
        ("ຫົວໃຈ", "ຫົ ວ ໃ ຈ"),
        ("ហឺត", "ហឺ ត"),
        ("နှလုံး", "နှ လုံး"),
        ("심장 비대", "심장 비대"),
        ("فشار خون", "فشار خون"),
        ("лёгкое", "лёгкое"),
    ],
)
def test_only_scripts_without_spaces_are_cut_into_letters(text: str, words: str) -> None:
    assert normalized_words(text) == tuple(words.split())


@given(st.text(alphabet="左下肺的a1 t。,", max_size=20))
def test_han_is_cut_as_sacrebleu_cuts_it(text: str) -> None:
    han = [word for word in normalized_words(text) if not word.isascii()]
    theirs = [word for word in TokenizerZh()(text).split() if word in "左下肺的"]
    assert han == theirs


@given(st.text(alphabet=st.characters(max_codepoint=127), max_size=40))
def test_ascii_is_read_the_same_next_to_a_letter_beyond_ascii(text: str) -> None:
    """The quick path and the other one agree; "é" alone brings the other one about."""
    assert (*normalized_words(f"{text} x"), "é") == normalized_words(f"{text} x é")


def test_apostrophes_part_no_words() -> None:
    assert normalized_words("Crohn`s or Crohn's") == normalized_words("Crohn’s or Crohnʼs")


def test_an_article_at_the_very_end_is_a_letter_in_both_paths() -> None:
    assert normalized_words("vitamin A")[-1] == "a"
    assert normalized_words("hépatite A")[-1] == "a"


def test_open_metrics_count_chinese_by_character() -> None:
    assert open_recall("右下肺", "左下肺") == pytest.approx(2 / 3)
    assert open_token_f1("肺", "左下肺") == pytest.approx(0.5)
    assert open_exact_match("左下肺。", "左下肺") == 1.0
    assert open_exact_match("下左肺", "左下肺") == 0.0


def test_the_cache_is_bounded() -> None:
    assert normalized_words.cache_info().maxsize == 16_384
