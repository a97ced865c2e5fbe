"""The configuration: what is right is taken, what is wrong is refused with its line and the mend."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from monitor.config import ConfigError, KafkaSettings, Settings, WebhookChannel, find, load
from monitor.stream.topics import client_options, topic_plans

GOOD = """\
# the desk
kafka:
  bootstrap: "a:9092, b:9092"
  readings_partitions: 8
brands: brands.yaml
store:
  url: postgresql+psycopg://monitor:${DB_PASSWORD}@db/monitor
recipients:
  - name: ana
    channels:
      - name: hook
        type: webhook
        url: https://desk.example.com/pages
        secret_env: HOOK
      - {name: screen, type: terminal}
routes:
  - {to: [ana], severity: page}
"""
ENVIRON = {"DB_PASSWORD": "db-pass-word", "HOOK": "hook-secret"}


@pytest.fixture
def write(tmp_path):
    def to_file(text: str):
        path = tmp_path / "monitor.yaml"
        path.write_text(text)
        return path

    return to_file


def _refused(path, environ=None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path, environ or {})
    return [problem.replace(f"{path}:", "FILE:") for problem in caught.value.problems]


def test_nothing_is_needed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load(environ={}) == Settings()


def test_a_good_file(write, tmp_path):
    settings = load(write(GOOD), ENVIRON)
    assert settings.kafka.readings_partitions == 8
    assert settings.brands == tmp_path / "brands.yaml"
    assert settings.store.url == "postgresql+psycopg://monitor:db-pass-word@db/monitor"
    hook = settings.channels["hook"]
    assert isinstance(hook, WebhookChannel)
    assert hook.secret.get_secret_value() == "hook-secret"
    assert client_options(settings.kafka)["bootstrap_servers"] == ["a:9092", "b:9092"]


def test_nothing_changes_after_the_start():
    with pytest.raises(ValidationError):
        Settings().kafka.bootstrap = "x:1"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "kafka:\n  readings_partitons: 8\n",
            "FILE:2: unknown key 'kafka.readings_partitons'; did you mean 'readings_partitions'?",
        ),
        ("kafka:\n  zzz: 8\n", "FILE:2: unknown key 'kafka.zzz'; known here: bootstrap, "),
        ("kafak: {}\n", "FILE:1: unknown key 'kafak'; did you mean 'kafka'?"),
        ("kafka:\n\n  bootstrap: localhost\n", "FILE:3: kafka.bootstrap is 'localhost'; write host:port"),
        ("kafka:\n  topics: {mentions: a b}\n", "FILE:2: kafka.topics.mentions is 'a b'; use letters"),
        (
            "kafka:\n  topics:\n    dead: readings\n",
            "FILE:2: kafka.topics gives 2 topics the name 'readings'; give each",
        ),
        ("kafka:\n  security: {protocol: SASL_SSL}\n", "FILE:2: kafka.security protocol SASL_SSL needs a username"),
        ("time:\n  mode: lve\n", "FILE:2: time.mode is 'lve'; give 'live' or 'replay'"),
        ("store:\n  url: mysql://x\n", "FILE:2: store.url is no store; write sqlite:///FILE or postgresql"),
        ("log: loud\n", "FILE:1: log is 'loud'; write keys below it: format, level"),
        ("log:\n", "FILE:1: log is empty; write keys below it: format, level"),
        ("http:\n  score_port: 99999\n", "FILE:2: http.score_port is 99999; give a number less than or equal to 65535"),
        ("model:\n  stub: true\n  path: x\n", "FILE:1: model names 2 models (path, stub); keep one"),
        (
            "routes:\n  - {to: [bob]}\n",
            "FILE:1: the configuration routes[0].to names 'bob', who is no recipient; known: none",
        ),
        (
            "routes:\n  - to: [bob]\n    severity: bad\n",
            "FILE:3: routes[0].severity is 'bad'; give 'info', 'notify', 'page'",
        ),
        ("recipients:\n  - name: ana\n", "FILE:2: recipients[0].channels is missing; add it"),
        (
            "recipients:\n  - name: ana\n    channels:\n      - name: x\n        type: mail\n",
            "FILE:4: recipients[0].channels[0].type is none that we know; give one of terminal, webhook, alertmanager",
        ),
        (
            "recipients:\n  - name: ana\n    channels:\n      - {name: x, type: alertmanager, url: 'http://am'}\n",
            "FILE:4: unknown key 'recipients[0].channels[0].url'; did you mean 'urls'?",
        ),
        (
            "recipients:\n  - name: ana\n    channels:\n      - {name: x, type: alertmanager, urls: [am:9093]}\n",
            "FILE:4: recipients[0].channels[0].urls[0] is no web address; write it as https://host/path",
        ),
        ("- a\n- b\n", "FILE:1: holds no keys"),
        ("kafka: {\n", "FILE:2: is no YAML"),
        ("kafka: {}\nkafka: {}\n", "FILE:2: is no YAML"),
        (
            "store:\n  url: sqlite:///${NOWHERE}\n",
            "FILE:2: store.url needs the environment variable NOWHERE, which is not set",
        ),
    ],
)
def test_a_bad_file_is_refused_with_line_and_mend(write, text, problem):
    problems = _refused(write(text))
    assert any(told.startswith(problem) for told in problems), problems


def test_every_wrong_value_is_told_in_the_order_of_the_file(write):
    problems = _refused(write("kafka:\n  bootstrap: x\nlog:\n  level: loud\n  formt: json\n"), {})
    assert [problem.split(": ")[0] for problem in problems] == ["FILE:2", "FILE:4", "FILE:5"]


def test_all_comments_is_all_defaults(write):
    assert load(write("# kafka:\n#   bootstrap: x:1\n\n"), {}) == Settings()


@pytest.mark.parametrize("names", ["recipients", "channels"])
def test_names_are_given_once(write, names):
    second = "ana" if names == "recipients" else "bob"
    text = (
        "recipients:\n"
        "  - {name: ana, channels: [{name: one, type: terminal}]}\n"
        f"  - {{name: {second}, channels: [{{name: one, type: terminal}}]}}\n"
    )
    assert any(f"has 2 {names} with the name" in problem for problem in _refused(write(text)))


def test_the_environment_wins(write):
    environ = {
        **ENVIRON,
        "MONITOR_KAFKA__BOOTSTRAP": "c:1",
        "MONITOR_KAFKA__TOPICS__DEAD": "junk",
        "MONITOR_MODEL__STUB": "true",
        "MONITOR_HTTP__SCORE_PORT": "null",
        "MONITOR_BRANDS": "other.yaml",
        "MONITOR_ROUTES": "[{to: [ana], severity: crisis}]",
        "MONITOR_LOG__LEVEL": "",
        "MONITOR_SHARED": "/elsewhere",
    }
    settings = load(write(GOOD), environ)
    assert settings.kafka.bootstrap == "c:1"
    assert settings.kafka.topics.dead == "junk"
    assert settings.kafka.readings_partitions == 8
    assert settings.model.stub
    assert settings.http.score_port is None
    assert str(settings.brands) == "other.yaml"
    assert settings.routes[0].severity == "crisis"
    assert settings.log.level == "info"


def test_secrets_inside_a_variable_are_found_too(write):
    hook = "{name: hook, type: webhook, url: 'http://x', secret%s}"
    for written in ("_env: HOOK", ": '${HOOK}'", ": hook-secret"):
        environ = {**ENVIRON, "MONITOR_RECIPIENTS": f"[{{name: ana, channels: [{hook % written}]}}]"}
        channel = load(write(""), environ).channels["hook"]
        assert channel.secret.get_secret_value() == "hook-secret"
    del environ["HOOK"]
    environ["MONITOR_RECIPIENTS"] = environ["MONITOR_RECIPIENTS"].replace(": hook-secret", "_env: HOOK")
    assert "needs the environment variable HOOK" in _refused(write(""), environ)[0]


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("MONITOR_KAFKA__BOOTSTRP", "a:1", "unknown key 'kafka.bootstrp'; did you mean 'bootstrap'?"),
        ("MONITOR_KAFK__BOOTSTRAP", "a:1", "unknown key 'kafk'; did you mean 'kafka'?"),
        ("MONITOR_KAFKA_BOOTSTRAP", "a:1", "sets nothing; did you mean MONITOR_KAFKA__BOOTSTRAP?"),
        ("MONITOR_KAFKA__MENTIONS_PARTITIONS", "many", "kafka.mentions_partitions is 'many'; give a valid integer"),
        ("MONITOR_ROUTES", "[{to: [ana}]", "is no YAML; write a list as [a, b]"),
        ("MONITOR_KAFKA__BOOTSTRAP__X", "1", "there are no keys under that"),
    ],
)
def test_a_bad_variable_is_named(write, variable, value, problem):
    problems = _refused(write("kafka:\n  bootstrap: a:1\n"), {variable: value})
    assert problems[0].startswith(f"environment {variable}: {problem}"), problems


def test_services_that_kubernetes_puts_into_the_environment_are_no_settings(write):
    environ = {"MONITOR_PORT": "tcp://10.0.0.1:80", "MONITOR_STORE_SERVICE_HOST": "10.0.0.1", "MONITOR_STORE_PORT": "x"}
    assert load(write(""), environ) == Settings()


def test_a_secret_in_the_file_is_refused(write):
    text = GOOD.replace("secret_env: HOOK", "secret: hunter2")
    problems = _refused(write(text), ENVIRON)
    assert any(
        problem.startswith("FILE:14: recipients[0].channels[0].secret stands in the file") for problem in problems
    )
    assert "hunter2" not in "".join(problems)


@pytest.mark.parametrize("reference", ["secret_env: HOOK", "secret: ${HOOK}"])
def test_secrets_are_never_printed(write, reference):
    path = write(GOOD.replace("secret_env: HOOK", reference))
    settings = load(path, ENVIRON)
    assert "hook-secret" not in repr(settings)
    assert "hook-secret" not in str(settings.model_dump())
    bad = path.read_text().replace("https://desk", "ftp://desk").replace("readings_partitions: 8", "bootstrp: 1")
    told = "".join(_refused(write(bad), {**ENVIRON, "MONITOR_LOG__LEVEL": "x"}))
    assert "hook-secret" not in told
    assert "db-pass-word" not in told


def test_what_a_reference_stands_for_is_not_printed_in_an_error(write):
    told = "".join(_refused(write("kafka:\n  bootstrap: ${BROKER}\n"), {"BROKER": "s3cret words"}))
    assert "${BROKER}" in told
    assert "s3cret" not in told


def test_a_missing_file_is_named(tmp_path):
    path = tmp_path / "nowhere.yaml"
    assert _refused(path) == ["FILE:1: cannot be read (No such file or directory); check the path and its rights"]


def test_which_file_counts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find(None, {}) is None
    (tmp_path / "monitor.yaml").write_text("")
    assert find(None, {}).name == "monitor.yaml"
    assert find(None, {"MONITOR_CONFIG": "x.yaml"}).name == "x.yaml"
    assert find("y.yaml", {"MONITOR_CONFIG": "x.yaml"}).name == "y.yaml"


def test_the_topics_follow_the_configuration():
    kafka = KafkaSettings(mentions_partitions=2, readings_partitions=6, replication=3)
    mentions, readings, dead, incidents = topic_plans(kafka)
    assert (mentions.partitions, readings.partitions) == (2, 6)
    assert readings.setting == "kafka.readings_partitions"
    assert {plan.config["min.insync.replicas"] for plan in (mentions, readings, dead, incidents)} == {"2"}
    assert "min.insync.replicas" not in topic_plans(KafkaSettings())[0].config
