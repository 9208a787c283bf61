from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families
from slow_desk import BLURRED, answer_to

from tinymed.engines.protocol import EncodedImage
from tinymed.serve.asked.events import Timings
from tinymed.serve.metrics import Metrics


def samples(metrics: Metrics) -> dict[str, float]:
    families = text_string_to_metric_families(metrics.metrics_text().decode())
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in families
        for sample in family.samples
    }


def test_what_is_counted_is_told_as_prometheus_reads_it() -> None:
    metrics = Metrics()
    metrics.count_request("/api/cases/{case}", 404)
    timings = Timings(wait_ms=60.0, encode_ms=0.0, first_text_ms=120.0, total_ms=700.0)
    metrics.count_answer(answer_to("is it", "yes", kind="yes-no"), timings)
    metrics.count_answer(answer_to("what", "cannot tell", is_withheld=True), timings)
    metrics.count_question("unknown", "stopped")
    metrics.count_encode(
        EncodedImage(state=None, num_image_tokens=1, encode_ms=30.0, prefill_ms=30.0)
    )
    metrics.count_prefix(is_hit=True)
    metrics.count_audit_failure()
    metrics.watch("waiting", "Waiting.", lambda: 7)
    told = samples(metrics)
    assert told["tinymed_requests_total /api/cases/{case} 404"] == 1
    assert told["tinymed_questions_total yes-no answered"] == 1
    assert told["tinymed_questions_total open withheld"] == 1
    assert told["tinymed_questions_total unknown stopped"] == 1
    assert told[f"tinymed_alerts_total {BLURRED.code}"] == 2
    assert told["tinymed_wait_seconds_bucket 0.05"] == 0
    assert told["tinymed_wait_seconds_bucket 0.1"] == 2
    assert told["tinymed_first_text_seconds_bucket 0.25"] == 2
    assert told["tinymed_answer_seconds_sum"] == 1.4
    assert told["tinymed_encode_seconds_bucket 0.1"] == 1
    assert told["tinymed_encodes_total"] == 1
    assert told["tinymed_prefix_cache_total hit"] == 1
    assert told["tinymed_audit_failures_total"] == 1
    assert told["tinymed_waiting"] == 7
    assert told["tinymed_resident_bytes"] > 10_000_000


def test_two_servers_in_one_process_count_apart() -> None:
    one, other = Metrics(), Metrics()
    one.count_audit_failure()
    assert samples(other)["tinymed_audit_failures_total"] == 0
