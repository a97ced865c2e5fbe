"""What `kubectl apply -k` would send: well formed, as strict as it can be, and of one piece."""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from typing import Any

import pytest
from ruamel.yaml import YAML

from monitor.brand import BrandTree
from monitor.config import load
from tests.conftest import REPOSITORY
from tests.support.programs import CHECKS, program

K8S = REPOSITORY / "k8s"
OVERLAYS = ("dev", "production", "production/kafka")
WORKERS = ("score", "watch", "dispatch", "serve")
PORTS = {"score": 9101, "watch": 9102, "dispatch": 9103, "serve": 9104}
OLDEST = (1, 21)
"""The first kubectl whose kustomize knows components."""


@pytest.fixture(scope="session")
def kubectl() -> str:
    found = program("kubectl", "Debian: apt install kubernetes-client, 1.21 or newer")
    said = subprocess.run([found, "version", "--client"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"v(\d+)\.(\d+)", said)
    if version is None or (int(version[1]), int(version[2])) < OLDEST:
        pytest.skip(f"kubectl is too old for components: {said.strip()}")
    return found


@pytest.fixture(scope="session")
def rendered(kubectl, tmp_path_factory) -> dict[str, Any]:
    """Each overlay's file and objects."""
    folder = tmp_path_factory.mktemp("k8s")
    out = {}
    for overlay in OVERLAYS:
        argv = [kubectl, "kustomize", str(K8S / "overlays" / overlay)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "deprecated" not in done.stderr, done.stderr
        file = folder / f"{overlay.replace('/', '-')}.yaml"
        file.write_text(done.stdout)
        out[overlay] = (file, list(YAML(typ="safe").load_all(done.stdout)))
    return out


def _by_kind(objects: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    found: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for each in objects:
        found[each["kind"]][each["metadata"]["name"]] = each
    return found


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_they_fit_the_api(rendered, overlay):
    file, _ = rendered[overlay]
    argv = [program("kubernetes-validate", CHECKS), "--strict", str(file)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    unknown = set(re.findall(r"schema for kind (\w+)", done.stdout + done.stderr))
    assert unknown <= set(CUSTOM), "kinds that nothing here checks"


def test_they_follow_good_practice(rendered):
    files = [str(rendered[overlay][0]) for overlay in ("dev", "production")]
    argv = [
        program("checkov", CHECKS),
        "--framework",
        "kubernetes",
        "--config-file",
        str(REPOSITORY / "deploy/checkov.yaml"),
    ]
    argv += ["--skip-download", "--compact", "--quiet", "--file", *files]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _closed(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **optional},
        "required": list(required),
        "additionalProperties": False,
    }


TEXT, WHOLE, MAP = {"type": "string"}, {"type": "integer"}, {"type": "object"}
TEXTS = {"type": "object", "additionalProperties": TEXT}
PACE = _closed(
    {
        "stabilizationWindowSeconds": {"type": "integer", "minimum": 0, "maximum": 3600},
        "policies": {
            "type": "array",
            "minItems": 1,
            "items": _closed(
                {
                    "type": {"enum": ["Pods", "Percent"]},
                    "value": {"type": "integer", "minimum": 1},
                    "periodSeconds": {"type": "integer", "minimum": 1, "maximum": 1800},
                }
            ),
        },
    }
)
"""As autoscaling/v2 has it: KEDA hands it on."""

KAFKA_OPERATIONS = ("Read", "Write", "Create", "Delete", "Alter", "Describe", "ClusterAction", "AlterConfigs",
                    "DescribeConfigs", "IdempotentWrite", "All")  # fmt: skip
ACL = _closed(
    {
        "resource": _closed(
            {"type": {"enum": ["topic", "group"]}, "name": TEXT, "patternType": {"enum": ["literal", "prefix"]}}
        ),
        "operations": {"type": "array", "minItems": 1, "items": {"enum": list(KAFKA_OPERATIONS)}},
    }
)
CUSTOM: dict[str, tuple[str, dict[str, Any]]] = {
    "ScaledObject": (
        "keda.sh/v1alpha1",
        _closed(
            {
                "scaleTargetRef": _closed({"name": TEXT}, kind=TEXT),
                "triggers": {
                    "type": "array",
                    "items": _closed({"type": TEXT, "metadata": TEXTS}, authenticationRef=_closed({"name": TEXT})),
                },
            },
            minReplicaCount=WHOLE,
            maxReplicaCount=WHOLE,
            pollingInterval=WHOLE,
            fallback=_closed({"failureThreshold": WHOLE, "replicas": WHOLE}),
            advanced=_closed(
                {"horizontalPodAutoscalerConfig": _closed({"behavior": _closed({"scaleUp": PACE, "scaleDown": PACE})})}
            ),
        ),
    ),
    "TriggerAuthentication": (
        "keda.sh/v1alpha1",
        _closed(
            {"secretTargetRef": {"type": "array", "items": _closed({"parameter": TEXT, "name": TEXT, "key": TEXT})}}
        ),
    ),
    "PodMonitor": (
        "monitoring.coreos.com/v1",
        _closed(
            {
                "selector": MAP,
                "podMetricsEndpoints": {
                    "type": "array",
                    "items": _closed({"port": TEXT}, path=TEXT, interval=TEXT, relabelings={"type": "array"}),
                },
            }
        ),
    ),
    "PrometheusRule": ("monitoring.coreos.com/v1", _closed({"groups": {"type": "array"}})),
    "KafkaTopic": (
        "kafka.strimzi.io/v1",
        _closed({"topicName": TEXT, "partitions": WHOLE, "replicas": WHOLE, "config": MAP}),
    ),
    "KafkaUser": (
        "kafka.strimzi.io/v1",
        _closed(
            {
                "authentication": _closed({"type": {"enum": ["scram-sha-512"]}}),
                "authorization": _closed({"type": {"enum": ["simple"]}, "acls": {"type": "array", "items": ACL}}),
            }
        ),
    ),
}
"""The kinds of operators that we use, as far as we use them; each field was held against the operator's published CRD:
Strimzi's of 1.x (its API v1 came with 0.49), KEDA's of 2.x, the Prometheus operator's monitoring.coreos.com/v1."""

KEDA_KAFKA = frozenset(
    {
        *("bootstrapServers", "consumerGroup", "topic", "lagThreshold", "offsetResetPolicy", "allowIdleConsumers"),
        *("excludePersistentLag", "sasl", "tls"),
    }
)
"""What of the parameters of KEDA's scaler for Kafka is used (2.9 or newer); a ScaledObject's CRD does not name them."""


def test_what_operators_read_has_only_fields_that_they_know(rendered):
    jsonschema = pytest.importorskip("jsonschema")
    seen = set()
    for _, objects in rendered.values():
        for each in objects:
            if each["kind"] in CUSTOM:
                version, schema = CUSTOM[each["kind"]]
                assert each["apiVersion"] == version
                jsonschema.validate(each["spec"], schema)
                seen.add(each["kind"])
            if each["kind"] == "ScaledObject":
                (trigger,) = each["spec"]["triggers"]
                assert trigger["metadata"].keys() == KEDA_KAFKA
    assert seen == set(CUSTOM)


@pytest.mark.parametrize("overlay", ["dev", "production"])
@pytest.mark.parametrize("worker", WORKERS)
def test_each_worker_is_confined_probed_and_bounded(rendered, overlay, worker):
    kinds = _by_kind(rendered[overlay][1])
    spec = kinds["Deployment"][f"monitor-{worker}"]["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert container["ports"][0]["containerPort"] == PORTS[worker]
    assert container["args"] == [worker]
    paths = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}
    assert paths == {"startup": "/health/live", "liveness": "/health/live", "readiness": "/health/ready"}
    assert pod["terminationGracePeriodSeconds"] > 9  # monitor.telemetry.worker.GRACE_S
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    for kind in ("requests", "limits"):
        assert set(container["resources"][kind]) >= {"cpu", "memory"}
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"].items() <= labels.items()
    budget = kinds["PodDisruptionBudget"][f"monitor-{worker}"]["spec"]
    assert budget["selector"]["matchLabels"].items() <= labels.items()
    assert pod["serviceAccountName"] in kinds["ServiceAccount"]


@pytest.mark.parametrize("overlay", ["dev", "production"])
def test_nothing_goes_in_or_out_but_what_is_named(rendered, overlay):
    policies = _by_kind(rendered[overlay][1])["NetworkPolicy"]
    deny = policies["default-deny"]["spec"]
    assert deny["podSelector"] == {}
    assert set(deny["policyTypes"]) == {"Ingress", "Egress"}
    assert "ingress" not in deny
    assert "egress" not in deny


@pytest.mark.parametrize("overlay", ["dev", "production"])
def test_what_is_asked_from_dispatch_is_within_its_reach(rendered, overlay):
    """docs/deploy.md and the runbooks run `monitor doctor`, `offsets` and `dead` there."""
    kinds = _by_kind(rendered[overlay][1])
    for name in ("allow-kafka", "allow-store", "allow-receivers", "allow-dns"):
        selected = kinds["NetworkPolicy"][name]["spec"]["podSelector"]
        named = [each["values"] for each in selected.get("matchExpressions", ())]
        assert not named or "dispatch" in named[0], name
    if overlay == "production":
        (container,) = kinds["Deployment"]["monitor-dispatch"]["spec"]["template"]["spec"]["containers"]
        assert "/etc/kafka-ca" in {mount["mountPath"] for mount in container["volumeMounts"]}


@pytest.mark.parametrize("overlay", ["dev", "production"])
def test_the_configuration_is_one_and_agrees_with_the_topics(rendered, overlay, tmp_path):
    kinds = _by_kind(rendered[overlay][1])
    (files,) = [each["data"] for name, each in kinds["ConfigMap"].items() if name.startswith("monitor-config")]
    (places,) = [each["data"] for name, each in kinds["ConfigMap"].items() if name.startswith("monitor-places")]
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    secrets = dict.fromkeys(("DB_PASSWORD", "KAFKA_USER", "KAFKA_PASSWORD", "DESK_SECRET", "LINK_SECRET"), "x" * 20)
    settings = load(tmp_path / "monitor.yaml", {**places, **secrets})
    assert settings.channels
    assert BrandTree.load(settings.brands).nodes
    if overlay == "production":
        topics = _by_kind(rendered["production/kafka"][1])["KafkaTopic"]
        sizes = {topic["spec"]["topicName"]: topic["spec"]["partitions"] for topic in topics.values()}
        names = settings.kafka.topics
        assert sizes.keys() == {names.mentions, names.readings, names.dead, names.incidents}
        assert sizes[names.mentions] == settings.kafka.mentions_partitions
        assert sizes[names.readings] == settings.kafka.readings_partitions
        scaled = kinds["ScaledObject"]["monitor-score"]["spec"]
        assert scaled["maxReplicaCount"] == settings.kafka.mentions_partitions
        (trigger,) = scaled["triggers"]
        assert trigger["metadata"]["topic"] == names.mentions
        assert trigger["metadata"]["consumerGroup"] == settings.kafka.score_group
        assert trigger["metadata"]["bootstrapServers"] == places["KAFKA_BOOTSTRAP"]
        assert "replicas" not in kinds["Deployment"]["monitor-score"]["spec"]


def test_no_secret_stands_in_production(rendered):
    assert "Secret" not in _by_kind(rendered["production"][1])
