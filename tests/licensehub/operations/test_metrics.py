"""/metrics: off by default, only for who may ask, and about no person. Alerts and panels ask for what exists."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest
import yaml
from django.test import Client, RequestFactory
from prometheus_client.parser import text_string_to_metric_families

from integrations.connectors.rate_limit import RedisRateBudget, rate_used
from integrations.models import TaskRun
from licensehub.operations.metrics import middleware
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from tests.support import promtool
from tests.support.operations import an_evening
from tests.support.servers.workers import environment_for_children

TOKEN = "a-token-of-prometheus-that-is-long-enough"
NAME = re.compile(r"licensehub_\w+")


@pytest.fixture
def scrape(settings, monkeypatch):
    """The answer to Prometheus: the metrics, or the refusal."""
    settings.METRICS_TOKEN, settings.METRICS_NETWORKS = TOKEN, []
    middleware._registry.cache_clear()

    def ask(**headers: Any):
        given: dict[str, Any] = {"HTTP_AUTHORIZATION": f"Bearer {TOKEN}", "HTTP_HOST": "10.0.0.7", **headers}
        return middleware.metrics(RequestFactory().get("/metrics", **given))

    yield ask
    middleware._registry.cache_clear()


def samples(text: str) -> dict[str, list]:
    found: dict[str, list] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample)
    return found


@pytest.fixture
def everything(world, alice, bob, valkey, scrape) -> str:
    """The metrics of an installation that has at least one row of each kind."""
    world.first_download()
    decide.approve(request_reclaim(world.candidates(1), actor=alice), actor=bob)
    request_reclaim(world.candidates(2), actor=alice)
    TaskRun.objects.create(queue="mail", task="subscriptions.tasks.ask_people", waited=100, took=900)
    RedisRateBudget(f"unix://{valkey.connection_pool.connection_kwargs['path']}").take(
        "miro:rest:profile 1", cost=50, limit=1000, window=60
    )
    an_evening()
    middleware.http.observe("GET", 200, 0.1)
    return scrape().content.decode()


def test_what_is_counted(everything, world):
    found = samples(everything)

    def value(name: str, **labels: str) -> float:
        [one] = [s for s in found[f"licensehub_{name}"] if labels.items() <= s.labels.items()]
        return one.value

    profile = str(world.profile.pk)
    assert value("downloads_total", profile=profile, state="complete") == 1
    assert value("download_members", profile=profile) == 120
    assert value("download_members_per_second", profile=profile) > 0
    assert value("candidates", profile=profile, state="awaiting_approval") == 2
    assert value("check_level", check="mail") == 2
    assert value("reclaims", profile=profile, state="queued") == 1
    assert value("task_median_seconds", queue="mail") == 0.9
    assert value("schedulers") == 1
    assert value("rate_left_ratio", bucket="miro:rest:profile 1") == 0.95
    assert value("connection_up", profile=profile, slot="scim") == 1
    assert value("http_request_seconds_count", method="GET", status="2xx") >= 1
    assert value("oldest_open_seconds", kind="request") >= 0
    # Nobody is named, and the members make no series.
    assert "alice" not in everything
    assert "@" not in everything
    assert max(len(series) for series in found.values()) < 100


def asked_by(expressions: list[str]) -> set[str]:
    return {name for expression in expressions for name in NAME.findall(expression)}


def test_each_alert_and_each_panel_asks_for_a_metric_that_exists(everything, settings):
    there = set(samples(everything)) | {
        # These have no sample before somebody has verified or anchored, or where no token expires.
        *(f"licensehub_{name}_timestamp_seconds" for name in ("audit_verified", "anchor")),
        *("licensehub_token_expires_seconds",),
    }
    for name in sorted(there - set(samples(everything))):
        assert f"# TYPE {name} " in everything
    deploy = settings.BASE_DIR / "deploy"
    rules = yaml.safe_load((deploy / "prometheus/alerts.yml").read_text())["groups"][0]["rules"]
    board = json.loads((deploy / "grafana/dashboard.json").read_text())
    panels = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    assert len(rules) > 15
    assert len(panels) > 20
    for expressions in ([rule["expr"] for rule in rules], panels):
        assert asked_by(expressions) - there == set()
    for rule in rules:
        assert set(rule["annotations"]) == {"summary", "action"}
        assert rule["labels"]["severity"] in ("page", "ticket")
    page = (settings.BASE_DIR / "docs/metrics.md").read_text()
    told = set(re.findall(r"^\| `(licensehub_\w+)`", page, re.MULTILINE))
    families = {family.name for family in text_string_to_metric_families(everything)}
    # Where processes share files, there is no time of the first count.
    assert told == {name for name in families if not name.endswith("_created")}, "docs/metrics.md has a row for each"


def test_each_alert_has_a_case_in_which_it_fires(settings):
    folder = settings.BASE_DIR / "deploy/prometheus"
    rules = yaml.safe_load((folder / "alerts.yml").read_text())["groups"][0]["rules"]
    tests = yaml.safe_load((folder / "alerts.test.yml").read_text())["tests"]
    tested = {case["alertname"] for test in tests for case in test["alert_rule_test"] if case["exp_alerts"]}
    assert tested == {rule["alert"] for rule in rules}


def test_the_alerts_ring_when_they_should(settings):
    program, folder = promtool.find_or_install(), settings.BASE_DIR / "deploy/prometheus"
    for command in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts.test.yml"]):
        done = subprocess.run([str(program), *command], cwd=folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


def test_who_may_ask(scrape, settings, db, valkey):
    assert scrape().status_code == 200
    for wrong in ("", "Bearer ", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer ä"):
        assert scrape(HTTP_AUTHORIZATION=wrong).status_code == 403
    settings.METRICS_NETWORKS = ["10.0.0.0/8", "2001:db8::/32"]
    assert scrape(REMOTE_ADDR="10.2.3.4").status_code == 200
    assert scrape(REMOTE_ADDR="2001:db8::7").status_code == 200
    assert scrape(REMOTE_ADDR="192.0.2.1").status_code == 403
    # Without a proxy of ours, the header changes no address, and a network does not stand in for the token.
    assert scrape(REMOTE_ADDR="192.0.2.1", HTTP_X_FORWARDED_FOR="10.2.3.4").status_code == 403
    assert scrape(REMOTE_ADDR="10.2.3.4", HTTP_AUTHORIZATION="").status_code == 403
    settings.METRICS_TOKEN = ""
    assert scrape(REMOTE_ADDR="10.2.3.4", HTTP_AUTHORIZATION="").status_code == 200
    assert middleware.metrics(RequestFactory().post("/metrics")).status_code == 405


def test_off_means_that_nothing_is_there(db, settings):
    code = "import sys; from licensehub.wsgi import application; print('prometheus_client' in sys.modules)"
    environment = environment_for_children()
    for token, expected in (("", "False"), (TOKEN, "True")):
        done = subprocess.run(
            [sys.executable, "-c", code], env={**environment, "METRICS_TOKEN": token}, capture_output=True, text=True
        )
        assert done.stdout.strip() == expected, done.stderr
    assert Client().get("/metrics").status_code == 404
    assert "PROMETHEUS_MULTIPROC_DIR" not in os.environ


def test_a_broker_that_is_away_is_a_number(scrape, db, broker_away):
    found = samples(scrape().content.decode())
    assert found["licensehub_broker_up"][0].value == 0
    assert "licensehub_queue_messages" not in found


def test_the_processes_of_a_host_add_up(tmp_path, settings):
    """Two processes count, a third one answers; after all have ended, the next run begins at 0."""
    environment = environment_for_children() | {"METRICS_TOKEN": TOKEN, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    setup = "import django; django.setup(); from licensehub.operations.metrics import http; "
    count = setup + "http.observe('GET', 200, 0.1); http.observe('HACK', 404, 9)"
    for _ in range(2):
        subprocess.run([sys.executable, "-c", count], env=environment, check=True)
    read = setup + (
        "from prometheus_client import CollectorRegistry, generate_latest; r = CollectorRegistry(); http.add_to(r);"
        "print(generate_latest(r).decode())"
    )
    text = subprocess.run(
        [sys.executable, "-c", read], env=environment, check=True, capture_output=True, text=True
    ).stdout
    assert 'licensehub_http_request_seconds_count{method="GET",status="2xx"} 2.0' in text
    assert 'licensehub_http_request_seconds_count{method="other",status="4xx"} 2.0' in text
    assert len(list(tmp_path.glob("*.db"))) >= 2
    subprocess.run([sys.executable, "-c", setup + "http.forget_former_run()"], env=environment, check=True)
    assert not [path for path in tmp_path.glob("*.db") if path.stat().st_size and "histogram" in path.name]


def test_the_rate_budget_is_read_without_taking_any(valkey):
    url = f"unix://{valkey.connection_pool.connection_kwargs['path']}"
    budget = RedisRateBudget(url)
    assert rate_used(url) == []
    budget.take("one", cost=3, limit=10, window=60)
    budget.take("one", cost=2, limit=10, window=60)
    budget.take("two", cost=1, limit=4, window=60)
    assert rate_used(url) == [("one", 5, 10), ("two", 1, 4)]
    assert rate_used(url) == [("one", 5, 10), ("two", 1, 4)]
