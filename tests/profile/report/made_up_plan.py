"""Plans; every number is made up."""

from __future__ import annotations

from typing import Any

from tinymed.profile.plan.plan import MemoryPlan, PartPlan, Plan, SpeedPlan

GIB = 2**30


def made_up_plan(scheme: str = "nf4", **fields: Any) -> Plan:
    part = PartPlan(
        name="language_model", precision="nf4", num_weights=8, num_bytes=GIB, scale_bytes=9
    )
    memory = MemoryPlan(
        parts=(part,),
        weight_bytes=GIB,
        static_bytes=GIB,
        key_value_bytes=GIB // 8,
        activation_bytes=GIB // 8,
        runtime_bytes=GIB // 4,
        loading_bytes=0,
        peak_bytes=3 * GIB,
        disk_bytes=GIB,
        download_bytes=14 * GIB,
    )
    speed = SpeedPlan(
        image_s=0.04,
        vision_s=0.06,
        image_prefill_s=0.3,
        question_prefill_s=0.05,
        decode_tokens_per_s=42.0,
        basis="the maker's figures",
    )
    given: dict[str, Any] = {
        "model": "llava-med-7b",
        "scheme": scheme,
        "engine": "torch",
        "device": "rtx-3050-4gb",
        "image_tokens": 576,
        "prompt_tokens": 640,
        "answer_tokens": 32,
        "memory": memory,
        "usable_bytes": 4 * GIB,
        "verdict": "fits",
        "instead": None,
        "speed": speed,
        "remarks": ("A remark.",),
        **fields,
    }
    return Plan(**given)
