"""Chinese answers decide as strictly as English ones."""

from __future__ import annotations

import pytest

from tinymed.evaluate.metrics.honest import closed_accuracy
from tinymed.evaluate.metrics.verdict import is_refusal, options, yes_or_no

LIVER = "图片中包含肝脏吗？"


@pytest.mark.parametrize(
    "text", ["是", "是的。", "有", "包含", "包括", "存在", "可以", "对", "能！"]
)
def test_slakes_words_for_yes(text: str) -> None:
    assert yes_or_no(text) == "yes"


@pytest.mark.parametrize(
    "text", ["不是", "否", "没有。", "无", "不包含", "不包括", "不存在", "不可以", "不", "不能"]
)
def test_slakes_words_for_no(text: str) -> None:
    assert yes_or_no(text) == "no"


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("是的，图中有肝脏", "yes"),
        ("是的图中有肝脏", "yes"),
        ("没有，图中没有肝脏。", "no"),
        ("不是的", "no"),
        ("答案：是的", "yes"),
        ("答案是否", "no"),
        ("回答：不包含", "no"),
        ("Human: 是的", "yes"),
        ("**是的**", "yes"),
        (" 是 的 ", "yes"),
        ("我看了图。有。", "yes"),
        ("图中有肝脏吗？没有。", "no"),
        ("不正常", None),
        ("正常", None),
        ("健康", None),
        ("不健康", None),
        ("肝脏", None),
        ("是否", None),
        ("有没有", None),
        ("是或不是", None),
        ("是/否", None),
        ("[是，否]", None),
        ("是的。不是。", None),
        ("有，没有", None),
        ("没有异常", None),
        ("非常大", None),
        ("无法判断", None),
        ("是的，但我不确定", None),
        ("はい", None),
    ],
)
def test_a_verdict_stands_alone_at_the_start_of_a_sentence(text: str, verdict: str | None) -> None:
    assert yes_or_no(text) == verdict


@pytest.mark.parametrize(
    ("text", "question", "verdict"),
    [
        ("没有肝脏", LIVER, "no"),
        ("图片中不包含肝脏。", LIVER, "no"),
        ("有肝脏", LIVER, "yes"),
        ("有肝脏肿瘤", LIVER, None),
        ("肝脏", LIVER, None),
        ("没有肾脏", LIVER, None),
        ("图中有肝脏吗", LIVER, None),
        ("没有肝脏", "肝脏是健康的吗？", None),
        ("没有异常", "肝脏是健康的吗？", None),
        ("有异常", "图中有没有异常？", "yes"),
        ("未见明显异常", "这个图像有异常吗?", "no"),
        ("无异常", "图片里是否存在异常?", "no"),
        ("不正常", "这张图片看起来是否正常?", "no"),
        ("正常", "这张图片看起来是否正常?", "yes"),
        ("正常的", "肺是正常的吗？", "yes"),
        ("不正常", "肺看起来不正常吗?", "yes"),
        ("正常", "肺看起来不正常吗?", "no"),
        ("健康", "肝脏是不健康的吗?", "no"),
        ("没有异常", "图中没有异常吗？", "yes"),
        ("异常", "它是正常还是异常？", None),
        ("正常", "哪侧正常？", None),
        ("不是胸腔，是腹部", "这张图像是关于胸腔吗?", "no"),
        ("不在头部", "图像中的器官是否存在于头部?", "no"),
        ("在头部", "图像中的器官是否存在于头部?", "yes"),
        ("不是", "这是CT吗？", "no"),
        ("Yes", "这是CT吗？", "yes"),
        ("是的", "Is this a CT?", "yes"),
    ],
)
def test_a_statement_decides_only_what_the_question_ends_with(
    text: str, question: str, verdict: str | None
) -> None:
    assert yes_or_no(text, question) == verdict


@pytest.mark.parametrize(
    "text",
    [
        "抱歉，我看不到图像",
        "无法判断",
        "无法确定是否有肿块。",
        "不确定",
        "我不知道",
        "作为一个人工智能，我不能诊断",
        "需要更多的信息",
        "无法看到该图像。有",
        "难以 判断",
    ],
)
def test_refusals(text: str) -> None:
    assert is_refusal(text)
    assert closed_accuracy(text, "没有", "有肿块吗？") is None


@pytest.mark.parametrize("text", ["无", "肿瘤边界不清楚", "无法看到视神经", "不能排除肺炎", "未知"])
def test_findings_are_no_refusals(text: str) -> None:
    assert not is_refusal(text)


@pytest.mark.parametrize(
    ("question", "choices"),
    [
        ("扫描的是图像的哪个平面,横断面还是冠状面?", ["横断", "冠状"]),
        ("这张图像显示的是哪种类型的成像,核磁共振、CT还是X光?", ["核磁共振", "CT", "X光"]),
        ("这是T1加权还是T2加权的核磁共振图像?", ["T1", "T2"]),
        ("相对于其他组织,脑肿瘤是白色的还是灰色的?", ["白", "灰"]),
        ("图中异常是高密度还是低密度?", ["高", "低"]),
        ("病灶在左肺或右肺？", ["左", "右"]),
        ("肺或者心脏哪个是异常的?", ["肺", "心脏"]),
        ("在这个图像中膀胱和小肠哪个体积更小?", ["膀胱", "小肠"]),
        ("图中直肠、小肠和膀胱哪个体积最小?", ["直肠", "小肠", "膀胱"]),
        ("上肺和下肺哪个更大?", ["上", "下"]),
        ("图中有肝脏吗？", []),
        ("还是", []),
        ("哪个更大？", []),
    ],
)
def test_the_choices_a_question_offers(question: str, choices: list[str]) -> None:
    assert ["".join(choice).upper() for choice in options(question)] == choices


@pytest.mark.parametrize(
    ("prediction", "reference", "question", "value"),
    [
        ("有", "包含", LIVER, 1.0),
        ("没有", "包含", LIVER, 0.0),
        ("没有肝脏。", "不包含", LIVER, 1.0),
        ("yes", "包含", LIVER, 1.0),
        ("肝脏", "包含", LIVER, None),
        ("不正常", "不是", "肺是正常的吗?", 1.0),
        ("不是", "不正常", "这张图片看起来是否正常?", 1.0),
        ("右侧", "左侧", "哪一侧是异常的,左侧还是右侧?", 0.0),
        ("不是右侧，是左侧", "左侧", "哪一侧是异常的,左侧还是右侧?", 1.0),
        ("不在右侧，在左侧", "左侧", "哪一侧是异常的,左侧还是右侧?", 1.0),
        ("左侧或右侧", "左侧", "哪一侧是异常的,左侧还是右侧?", None),
        ("是的", "左侧", "哪一侧是异常的,左侧还是右侧?", None),
        ("都是", "都是", "图中心脏和肺部哪个是异常的?", 1.0),
        ("是的", "都是", "图中心脏和肺部哪个是异常的?", None),
        ("心脏", "都是", "图中心脏和肺部哪个是异常的?", 0.0),
        ("没有正常", "正常", "它怎么样？", 0.0),
    ],
)
def test_closed_chinese_questions(
    prediction: str, reference: str, question: str, value: float | None
) -> None:
    assert closed_accuracy(prediction, reference, question) == value
