"""config/prometheus and config/grafana: accepted by promtool, and about series, labels and values that we have."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.metrics import MetricWrapperBase

from edge.metrics import REGISTRY
from tests.test_metrics import load_everything

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "config" / "prometheus"
RULES = (FOLDER / "rules.yml").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()

SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
SCRAPED = {"instance", "job", "le"}  # labels that Prometheus adds
SELECTOR = re.compile(r"\b(edge_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*\\?"([^"\\]*)')
GROUPING = re.compile(r"\b(?:by|on|without) \(([^)]*)\)")

MANNERS = """
rule_files: [RULES]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'edge_text_loops_total{instance="a"}', values: '0x20 1x200'}
      - {series: 'edge_texts_refused_total{instance="a", reason="opted_out"}', values: '0x20 10 20 30x200'}
      - {series: 'edge_texts_refused_total{instance="a", reason="not_answered"}', values: '0+1x220'}
      - {series: 'edge_sip_texts_refused_total{instance="a", reason="no_carrier"}', values: '0x20 5x200'}
    alert_rule_test:
      - {alertname: EdgeTextLoop, eval_time: 19m, exp_alerts: []}
      - {alertname: EdgeTextLoop, eval_time: 30m, exp_alerts: [{exp_labels: {severity: ticket}, exp_annotations:
          {summary: "Texts went round in circles: 1 loops were stopped within 15 minutes."}}]}
      - {alertname: EdgeTextLoop, eval_time: 60m, exp_alerts: []}
      - {alertname: EdgeOptedOutTexted, eval_time: 19m, exp_alerts: []}
      - {alertname: EdgeOptedOutTexted, eval_time: 60m, exp_alerts: [{exp_labels: {severity: ticket}, exp_annotations:
          {summary: "30 texts within an hour were for people who have opted out."}}]}
      - {alertname: EdgeOptedOutTexted, eval_time: 120m, exp_alerts: []}
      - {alertname: EdgeSipTextsRefused, eval_time: 30m, exp_alerts: [{exp_labels:
          {severity: ticket, instance: a, reason: no_carrier},
          exp_annotations: {summary: "a answers texts by SIP with 403: no_carrier."}}]}
"""

CERTIFICATE = """
rule_files: [RULES]
evaluation_interval: 1h
tests:
  - interval: 1h
    input_series:
      - {series: 'edge_sip_certificate_expiry_time_seconds{instance="a"}', values: '1296000x100'}
      - {series: 'edge_sip_certificate_expiry_time_seconds{instance="without"}', values: '0x100'}
    alert_rule_test:
      - {alertname: EdgeCertificateExpires, eval_time: 24h, exp_alerts: []}
      - {alertname: EdgeCertificateExpires, eval_time: 27h, exp_alerts: [{exp_labels: {severity: ticket, instance: a},
          exp_annotations: {summary: "The SIP certificate of a expires at 1970-01-16 00:00:00 +0000 UTC."}}]}
"""

TRUNKS = """
rule_files: [RULES]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'edge_trunk_registered{instance="a", trunk="acme"}', values: '1x20 0x20 1x20'}
      - {series: 'edge_trunk_registered{instance="b", trunk="acme"}', values: '1x60'}
      - {series: 'edge_trunk_target_up{instance="a", trunk="acme", target="one"}', values: '1x20 0x40'}
      - {series: 'edge_trunk_target_up{instance="a", trunk="acme", target="two"}', values: '1x40 0x20'}
      - {series: 'edge_sip_digest_total{instance="a", result="wrong"}', values: '0x20 50x40'}
      - {series: 'edge_sip_digest_total{instance="a", result="asked"}', values: '0+100x60'}
    alert_rule_test:
      - {alertname: EdgeTrunkNotRegistered, eval_time: 20m, exp_alerts: []}
      - {alertname: EdgeTrunkNotRegistered, eval_time: 30m, exp_alerts: [{exp_labels:
          {severity: page, instance: a, trunk: acme},
          exp_annotations: {summary: "a is not registered at acme: its calls do not come there."}}]}
      - {alertname: EdgeTrunkNotRegistered, eval_time: 50m, exp_alerts: []}
      - {alertname: EdgeTrunkDown, eval_time: 30m, exp_alerts: []}
      - {alertname: EdgeTargetDown, eval_time: 30m, exp_alerts: [{exp_labels:
          {severity: ticket, instance: a, trunk: acme, target: one},
          exp_annotations: {summary: "one of acme does not answer a; others do."}}]}
      - {alertname: EdgeTrunkDown, eval_time: 50m, exp_alerts: [{exp_labels: {severity: page, instance: a, trunk: acme},
          exp_annotations: {summary: "No target of acme answers a."}}]}
      - {alertname: EdgeTargetDown, eval_time: 50m, exp_alerts: []}
      - {alertname: EdgeDigestWrong, eval_time: 20m, exp_alerts: []}
      - {alertname: EdgeDigestWrong, eval_time: 30m, exp_alerts: [{exp_labels: {severity: ticket, instance: a},
          exp_annotations: {summary: "a was shown 50 wrong proofs of trunks in 15 minutes."}}]}
"""


def expressions() -> Iterator[str]:
    """Every PromQL expression of the rules and the dashboard."""
    yield from re.findall(r"(?m)^ +expr: (?:\|\n)?((?:.+\n(?! +(?:for|labels):))*.+)\n", RULES)
    for panel in json.loads((ROOT / "config" / "grafana" / "edge.json").read_text())["panels"]:
        yield from (target["expr"] for target in panel["targets"])


def series() -> dict[str, set[str]]:
    """All names we expose, with their labels."""
    load_everything()
    labels = {c._name: set(c._labelnames) for c in REGISTRY._collector_to_names if isinstance(c, MetricWrapperBase)}
    return {
        family.name + suffix: labels.get(family.name, set(getattr(family, "_labelnames", ())))
        for family in REGISTRY.collect()
        for suffix in SUFFIXES[kind_of(family)]
    }


def kind_of(family: Metric) -> str:
    return str(family.type)


@pytest.mark.parametrize("arguments", [["check", "rules", "rules.yml"], ["check", "config", "prometheus.yml"]])
@pytest.mark.server
def test_promtool_accepts_it(arguments: list[str]) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not here: apt-get install prometheus")
    result = subprocess.run(["promtool", *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.server
@pytest.mark.parametrize("stories", [MANNERS, CERTIFICATE, TRUNKS], ids=["manners", "certificate", "trunks"])
def test_alerts_fire_when_they_should(tmp_path: Path, stories: str) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not here: apt-get install prometheus")
    story = tmp_path / "story.yml"
    story.write_text(stories.replace("RULES", str(FOLDER / "rules.yml")))
    result = subprocess.run(["promtool", "test", "rules", story], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_expressions_are_found() -> None:
    found = list(expressions())
    assert len(found) == RULES.count("expr:") + 20
    assert all("edge" in expression for expression in found)


def test_every_series_and_label_named_is_ours() -> None:
    ours = series()
    wrong = []
    for expression in expressions():
        named = SELECTOR.findall(expression)
        wrong += [name for name, _ in named if name not in ours]
        for name, selector in named:
            labels = {label for label, _, _ in MATCHER.findall(selector)}
            wrong += [f"{name}: {label}" for label in labels - ours.get(name, labels) - SCRAPED]
        known = set().union(SCRAPED, *(ours.get(name, set()) for name, _ in named))
        for group in GROUPING.findall(expression):
            wrong += [f"{expression}: {label}" for label in set(group.split(", ")) - known]
    assert wrong == []


def test_every_value_of_a_label_is_one_that_the_code_uses() -> None:
    code = "\n".join(path.read_text() for path in (ROOT / "edge").rglob("*.py"))
    values = {
        value
        for expression in expressions()
        for _, selector in SELECTOR.findall(expression)
        for label, _, matched in MATCHER.findall(selector)
        if label not in SCRAPED and label != "code"
        for value in matched.split("|")
    }
    assert {value for value in values if f'"{value}"' not in code} == set()


def test_every_alert_has_its_paragraph_in_the_operations_manual() -> None:
    alerts = re.findall(r"alert: (\w+)", RULES)
    assert len(alerts) >= 10
    assert [alert for alert in alerts if f"**{alert}**" not in OPERATIONS] == []
