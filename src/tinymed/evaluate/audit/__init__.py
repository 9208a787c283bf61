"""Auditing a model: does it look, does it contradict itself, does it know when it is wrong.

`audit.json` is written last, so a folder that holds one is finished. FIGURE below stands for
`{"value": number or null, "interval": [low, high] or null, "num_samples": n, "reason": text or
null}`: 95 %, whole groups resampled; without a value, `reason` says why. Shares, accuracies and
confidences are fractions in [0, 1]; subsets are "all", "closed" and "open", unless empty.

    notice, run (what run.json says), num_samples, warnings [text], notes [text]
    image_use: [{condition: "blank" | "noise" | "shuffled", subset, unchanged: FIGURE,
        accuracy: FIGURE, own_accuracy: FIGURE, accuracy_lost: FIGURE (in [-1, 1]), verdict: text}]
    polarity: {num_closed_yes_no, num_used, share_used, rows: [{form: "all" | "existence" |
        "property" | "identity", contradiction, always_yes, always_no, undecided, pair_accuracy,
        presence_accuracy, absence_accuracy: FIGURE each}]}
    confidence: [{subset, kind: "raw" | "calibrated", num_samples, accuracy: FIGURE,
        mean_confidence, ece, ece_equal_mass, brier: FIGURE, auroc: FIGURE, aurc,
        accuracy_at_80: FIGURE,
        reliability: [{low, high, num_samples, mean_confidence, accuracy}] (15; the last two are
            null in an empty bin),
        risk_coverage: [{coverage, risk}] (at most 200, by rising coverage)}]
    calibration: null or what calibration.json holds: {model, engine, weights_sha256,
        prompt_template, split, split_sha256, right, formula, by_type: {"closed" | "open":
        {num_samples, num_right, a, b, reason}}} (without a and b, `reason` says why)
    abstention: [{subset, policy: "target-accuracy" | "coverage", target, threshold: null or
        {value, coverage, accuracy} (as on the calibration split), reason, coverage, accuracy,
        wrong_withheld, right_withheld: FIGURE each, or null without a threshold}]
    declined: [{subset, num_samples, num_refusals, num_undecided}]
"""
