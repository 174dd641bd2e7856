# Copyright (c) 2026, scripts.toolkit contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Metrics and checkpoints of real runs at the real servers: Prometheus, Pushgateway and InfluxDB from Debian's packages
(unpacked, not installed), and an OTLP receiver on OpenTelemetry's own message definitions."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import re
import shutil
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

import pytest
from audit_lab import wait_for
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from ansible_collections.scripts.toolkit.plugins.module_utils._audit.proof.keys import Keyring

_LAB = Path(__file__).resolve().parents[2] / "unit/plugins/plugin_utils/_audit/delivery_lab.py"
_SPEC = importlib.util.spec_from_file_location("delivery_lab", _LAB)
delivery_lab = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(delivery_lab)

PACKAGES = ("prometheus", "prometheus-pushgateway", "influxdb")
OPENER = build_opener(ProxyHandler({}))
PLAYBOOK = """\
- hosts: all
  gather_facts: false
  tasks:
    - name: Say it
      ansible.builtin.debug:
        msg: hello
    - name: Make a file
      ansible.builtin.copy:
        content: "{{ inventory_hostname }}"
        dest: DIR/made-{{ inventory_hostname }}
        mode: "0600"
"""


def get(url, data=None, method=None):
    """Return the answer of a server that runs, ``None`` as long as it does not."""
    try:
        with OPENER.open(Request(url, data=data, method=method), timeout=10) as answer:
            return answer.read().decode()
    except HTTPError as error:
        if error.code == 503:
            return None
        raise AssertionError(error.read().decode()) from error
    except (URLError, OSError):
        return None


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextlib.contextmanager
def running(log, *argv):
    with open(log, "wb") as output:
        process = subprocess.Popen(list(map(str, argv)), stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=20)


@contextlib.contextmanager
def serving(handler):
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def debian(tmp_path_factory):
    """The root of a tree with the programs of Debian's packages."""
    place = tmp_path_factory.mktemp("debian")
    place.chmod(0o755)
    fetch = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *PACKAGES]
    if subprocess.run(fetch, cwd=place, capture_output=True, check=False).returncode:
        subprocess.run(["apt-get", "-q", "update"], capture_output=True, check=True)
        subprocess.run(fetch, cwd=place, check=True)
    for package in place.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, place / "root"], check=True)
    return place / "root"


@pytest.fixture
def toolkit(controller):
    def call(*argv, rc=0):
        command = [sys.executable, "-m", "ansible_collections.scripts.toolkit.cli", "audit", *argv]
        done = subprocess.run(
            [*command, "--log-directory", str(controller.log)], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == rc, done.stdout + done.stderr
        return done.stdout

    return call


def made_runs(controller, count=1, **options):
    """Make runs at the same time. There is no witness but those that are named."""
    controller.configure(**{"witnesses": "", **options})
    controller.playbook(PLAYBOOK, "shop/site.yml")
    processes = [controller.start("shop/site.yml") for _number in range(count)]
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, out + err


def value(prometheus, query):
    """Return the value of the only series that a query finds, ``None`` where there is none."""
    answer = json.loads(get(f"{prometheus}/api/v1/query?{urlencode({'query': query})}") or '{"data": {"result": []}}')
    found = answer["data"]["result"]
    assert len(found) <= 1, found
    return float(found[0]["value"][1]) if found else None


def test_prometheus_scrapes_the_text_file_and_the_pushgateway(controller, debian, toolkit, tmp_path):
    push, port = free_port(), free_port()
    prometheus = f"http://127.0.0.1:{port}"
    quiet = type("Handler", (SimpleHTTPRequestHandler,), {"log_message": lambda *_args: None})
    with contextlib.ExitStack() as stack:
        files = stack.enter_context(serving(functools.partial(quiet, directory=str(controller.metrics.parent))))
        gateway = debian / "usr/bin/prometheus-pushgateway"
        stack.enter_context(running(tmp_path / "push.log", gateway, f"--web.listen-address=127.0.0.1:{push}"))
        sink = f"pushgateway+http://127.0.0.1:{push}/metrics/job/ansible/instance/control1"
        made_runs(controller, 3, metrics_sinks=sink, metrics_groups="all")
        made_runs(controller, 1, metrics_sinks=sink, metrics_groups="all")
        text = controller.metrics.read_text()
        checked = subprocess.run(
            [debian / "usr/bin/promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
        )
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
        wait_for(lambda: get(f"http://127.0.0.1:{push}/-/ready"))
        toolkit("deliver", "--now")
        config = tmp_path / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\n"
            "scrape_configs:\n"
            "  - job_name: file\n"
            f"    metrics_path: /{controller.metrics.name}\n"
            f"    static_configs: [{{targets: ['127.0.0.1:{files}']}}]\n"
            "  - job_name: pushgateway\n"
            "    honor_labels: true\n"
            f"    static_configs: [{{targets: ['127.0.0.1:{push}']}}]\n"
        )
        checked = subprocess.run([debian / "usr/bin/promtool", "check", "config", config], check=False)
        assert checked.returncode == 0
        stack.enter_context(
            running(
                tmp_path / "prometheus.log",
                debian / "usr/bin/prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={tmp_path}/tsdb",
                f"--web.listen-address=127.0.0.1:{port}",
                # Not installed, so its web pages are not where it expects them.
                f"--web.local-assets={debian}/usr/share/prometheus/web",
            )
        )
        for job in ("file", "ansible"):
            runs = f'scripts_toolkit_runs_total{{job="{job}",playbook="shop/site.yml",status="success"}}'
            wait_for(lambda query=runs: value(prometheus, query))
            assert value(prometheus, runs) == 4
            copied = f'scripts_toolkit_task_results_total{{job="{job}",module="ansible.builtin.copy",status="%s"}}'
            assert value(prometheus, copied % "changed") + value(prometheus, copied % "ok") == 8
            assert value(prometheus, f'scripts_toolkit_task_duration_seconds_count{{job="{job}"}}') == 16
            assert (
                value(prometheus, f'scripts_toolkit_group_task_results_total{{job="{job}",group="all",status="ok"}}')
                > 0
            )
            quantile = f'histogram_quantile(0.9, scripts_toolkit_run_duration_seconds_bucket{{job="{job}"}})'
            assert 0 < value(prometheus, quantile) < 60
            age = f'time() - scripts_toolkit_last_success_timestamp_seconds{{job="{job}",playbook="shop/site.yml"}}'
            assert -5 < value(prometheus, age) < 120
            assert value(prometheus, f'scripts_toolkit_log_size_bytes{{job="{job}"}}') > 1000
        assert value(prometheus, 'scripts_toolkit_runs_total{job="ansible",instance="control1",status="failed"}') == 0


def test_influxdb_takes_the_lines(controller, debian, toolkit, tmp_path):
    port, backup = free_port(), free_port()
    config = tmp_path / "influxdb.conf"
    config.write_text(
        f'reporting-disabled = true\nbind-address = "127.0.0.1:{backup}"\n'
        f'[meta]\ndir = "{tmp_path}/meta"\n'
        f'[data]\ndir = "{tmp_path}/data"\nwal-dir = "{tmp_path}/wal"\n'
        f'[http]\nbind-address = "127.0.0.1:{port}"\nlog-enabled = false\nauth-enabled = true\n'
        "[monitor]\nstore-enabled = false\n"
    )
    server = f"http://127.0.0.1:{port}"
    login = {"u": "admin", "p": "s3cret-password"}
    (tmp_path / "password").write_text(login["p"])

    def ask(statement, method="GET", **more):
        url = f"{server}/query?{urlencode({**login, **more, 'q': statement})}"
        return json.loads(get(url, b"" if method == "POST" else None, method))["results"][0]

    with running(tmp_path / "influxd.log", debian / "usr/bin/influxd", "-config", config):
        wait_for(lambda: get(f"{server}/ping") is not None)
        ask("CREATE USER admin WITH PASSWORD 's3cret-password' WITH ALL PRIVILEGES", "POST")
        ask("CREATE DATABASE ansible", "POST")
        sink = f"influxdb+{server}?db=ansible&username=admin&password_file={tmp_path}/password"
        made_runs(controller, 2, metrics_sinks=sink)
        toolkit("deliver", "--now")

        def column(name, where):
            series = ask(f'SELECT last({name}) FROM {where} GROUP BY "host"', db="ansible")["series"]
            assert [entry["tags"] for entry in series] == [{"host": socket.gethostname()}]
            return series[0]["values"][0][1]

        runs = "scripts_toolkit_runs_total WHERE playbook='shop/site.yml' AND status='success'"
        assert column('"value"', runs) == 2
        assert (
            column('"value"', "scripts_toolkit_task_results_total WHERE module='ansible.builtin.debug' AND status='ok'")
            == 4
        )
        histogram = "scripts_toolkit_task_duration_seconds"
        assert (column('"count"', histogram), column('"+Inf"', histogram)) == (8, 8)
        assert column('"sum"', histogram) > 0
        (tmp_path / "password").write_text("wrong")
        told = toolkit("deliver", "--now", rc=1)
        assert "401" in told
        assert "s3cret" not in (controller.log / "settings.json").read_text()


def test_an_otlp_receiver_takes_every_message(controller, toolkit):
    requests = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                assert (self.path, self.headers["Content-Type"]) == ("/v1/metrics", "application/json")
                # Unknown fields, wrong types and 64-bit integers that are no strings of digits are refused.
                requests.append(json_format.Parse(body, ExportMetricsServiceRequest(), ignore_unknown_fields=False))
                status = 200
            except (AssertionError, json_format.ParseError) as error:
                requests.append(error)
                status = 400
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_args):
            pass

    with serving(Receiver) as port:
        made_runs(controller, 2, metrics_sinks=f"otlp+http://127.0.0.1:{port}")
        toolkit("deliver", "--now")
    assert len(requests) >= 1
    assert [request for request in requests if isinstance(request, Exception)] == []
    [resource] = requests[-1].resource_metrics
    attributes = {entry.key: entry.value.string_value for entry in resource.resource.attributes}
    assert attributes["service.name"] == "scripts-toolkit"
    assert attributes["host.name"] == socket.gethostname()
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", attributes["service.version"])
    metrics = {metric.name: metric for metric in resource.scope_metrics[0].metrics}
    runs = metrics["scripts_toolkit.runs"].sum
    assert (runs.is_monotonic, runs.aggregation_temporality) == (True, 2)
    points = {tuple(entry.value.string_value for entry in point.attributes): point for point in runs.data_points}
    point = points["shop/site.yml", "success"]
    assert point.as_int == 2
    assert 0 < point.start_time_unix_nano <= point.time_unix_nano
    histogram = metrics["scripts_toolkit.task_duration"].histogram.data_points[0]
    assert histogram.count == sum(histogram.bucket_counts) == 8
    assert len(histogram.bucket_counts) == len(histogram.explicit_bounds) + 1
    assert metrics["scripts_toolkit.log_size"].gauge.data_points[0].as_int > 0


def log_key(controller):
    return Keyring(str(controller.log)).signers()[0].verifier.vkey


def checkpoint_size(controller):
    return int((controller.log / "checkpoint").read_text().splitlines()[1])


def test_runs_are_witnessed_and_wait_for_nobody(controller, toolkit, tmp_path):
    """A run ends while its witness still thinks; the witness gets what it missed; the log it cosigned is this one."""
    (tmp_path / "other").mkdir()
    made_runs(controller, 1)  # makes the key that the witness's operator is given
    with delivery_lab.Witness(tmp_path / "witness.state", log_key(controller)) as witness:
        thinking, go = threading.Event(), threading.Event()
        honest = witness.answer

        def slow(*request):
            thinking.set()
            go.wait(60)
            return honest(*request)

        witness.answer = slow
        witnesses = f"{witness.target},directory:{tmp_path}/other"
        made_runs(controller, 2, witnesses=witnesses)
        assert thinking.wait(30)
        assert witness.held()["size"] == 0  # and yet the runs are over
        go.set()
        wait_for(lambda: witness.held()["size"] == checkpoint_size(controller))
        shutil.copytree(controller.log, tmp_path / "old", symlinks=True)
        made_runs(controller, 1, witnesses=witnesses)
        wait_for(lambda: witness.held()["size"] == checkpoint_size(controller))
        assert {request[1].split(b"\n")[0] for request in witness.requests} > {b"old 0"}
        wait_for(lambda: json.loads(toolkit("witness", "state", "--json"))[0]["state"]["pending"] is None)
        asked = json.loads(toolkit("witness", "state", "--ask", "--json"))
        assert [entry["holds"] for entry in asked] == [checkpoint_size(controller)] * 2
        assert json.loads(toolkit("verify", "--no-memory", "--json"))["ok"] is True
        # Whoever puts an older copy of the whole directory in its place is found out by either.
        shutil.copytree(controller.log, tmp_path / "newest", symlinks=True)
        shutil.rmtree(controller.log)
        shutil.copytree(tmp_path / "old", controller.log, symlinks=True)
        for target in witnesses.split(","):
            report = json.loads(toolkit("verify", "--no-memory", "--json", "--witness", target, rc=1))
            assert report["ok"] is False
            assert "witness" in {finding["kind"] for finding in report["findings"]}
        shutil.rmtree(controller.log)
        shutil.copytree(tmp_path / "newest", controller.log, symlinks=True)
    [history] = (tmp_path / "other").glob("*.checkpoints")
    sizes = [int(json.loads(line)["note"].split("\n")[1]) for line in history.read_text().splitlines()]
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == checkpoint_size(controller)


def test_a_witness_that_is_spelled_wrong_is_told_and_the_run_is_recorded(controller):
    controller.configure(witnesses="jornal", metrics_sinks="statsd+http://x")
    controller.playbook(PLAYBOOK)
    _out, err = controller.run("site.yml")
    told = " ".join(err.split())
    assert "witnesses: 'jornal' is no witness." in told
    assert "metrics_sinks: 'statsd+http://x' is no sink for metrics." in told
    assert controller.details("EXECUTION_END", status="success")


def test_a_witness_that_dies_in_the_middle_is_caught_up_by_a_timer(controller, toolkit, tmp_path):
    made_runs(controller, 1)
    vkey = log_key(controller)
    with delivery_lab.Witness(tmp_path / "witness.state", vkey) as first:
        made_runs(controller, 1, witnesses=first.target)
        wait_for(lambda: first.held()["size"] == checkpoint_size(controller))
        key, port = first.key, first.port
    made_runs(controller, 1, witnesses=first.target)
    wait_for(lambda: json.loads(toolkit_state(toolkit))["failures"] == 1)
    with delivery_lab.Witness(tmp_path / "witness.state", vkey, key=key, port=port) as second:
        assert second.held()["size"] < checkpoint_size(controller)
        toolkit("deliver", "--now")
        assert second.held()["size"] == checkpoint_size(controller)
        assert not second.requests[0][1].startswith(b"old 0\n")


def toolkit_state(toolkit):
    """Return the only witness's state, which makes the exit status 1 while it is in trouble."""
    for rc in (0, 1):
        with contextlib.suppress(AssertionError):
            return json.dumps(json.loads(toolkit("witness", "state", "--json", rc=rc))[0]["state"])
    raise AssertionError("toolkit audit witness state does not work")
