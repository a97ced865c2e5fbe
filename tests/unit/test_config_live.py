"""Rules, rota and brands are taken up again when their files change: as a whole or not at all."""

import asyncio

import pytest

from monitor.config import REFUSED, Reloader, Settings, escalation_of, follow, live
from monitor.telemetry.metrics import Metrics

BRANDS = "brands: [{id: aurora, name: Aurora}]\n"
RULES = "rules: [{name: going-viral, brands: [aurora], hold: 5m}]\n"
ONCALL = """
rotas: [{name: desk, layers: [{from: 2026-01-05, people: [ana]}]}]
ladders: [{name: main, levels: [{to: [desk]}, {to: [ana]}]}]
"""


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "brands.yaml").write_text(BRANDS)
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "oncall.yaml").write_text(ONCALL)
    return Settings.model_validate(
        {
            "brands": tmp_path / "brands.yaml",
            "rules": tmp_path / "rules.yaml",
            "oncall": tmp_path / "oncall.yaml",
            "recipients": [{"name": "ana", "channels": [{"name": "t", "type": "terminal"}]}],
            "routes": [{"to": ["main"], "severity": "page"}],
        }
    )


def test_nothing_is_read_until_a_file_changes_and_then_all_of_it(settings):
    standing = escalation_of(settings)
    reloader = Reloader(settings, standing)
    assert reloader.look() is None
    settings.rules.write_text(RULES.replace("5m", "6m"))
    found = reloader.look()
    assert found.rules.version != standing.rules.version
    assert found.tree.version == standing.tree.version
    assert reloader.look() is None


def test_a_bad_file_is_said_once_and_nothing_of_the_change_counts(settings):
    standing = escalation_of(settings)
    reloader = Reloader(settings, standing)
    settings.rules.write_text(RULES.replace("5m", "6m"))
    settings.oncall.write_text(ONCALL.replace("people: [ana]", "people: [anna]"))
    with pytest.raises(REFUSED, match=r"did you mean 'ana'"):
        reloader.look()
    assert reloader.look() is None
    settings.oncall.write_text(ONCALL)
    assert reloader.look().rules.version != standing.rules.version


def test_a_brand_that_a_rule_needs_cannot_go(settings):
    reloader = Reloader(settings, escalation_of(settings))
    settings.brands.write_text(BRANDS.replace("aurora", "borealis"))
    with pytest.raises(REFUSED, match="the brand file has no brand 'aurora'"):
        reloader.look()
    settings.rules.write_text(RULES.replace("aurora", "borealis"))
    assert [node.id for node in reloader.look().tree.nodes] == ["borealis"]


def test_a_file_that_is_gone_is_refused_and_a_calendar_is_looked_at_too(settings, tmp_path):
    event = "BEGIN:VEVENT\nUID:1\nDTSTART:20260203T120000Z\nDTEND:20360203T130000Z\nSUMMARY:ana\nEND:VEVENT"
    (tmp_path / "shifts.ics").write_text(f"BEGIN:VCALENDAR\n{event}\nEND:VCALENDAR\n")
    settings.oncall.write_text(ONCALL.replace("{from: 2026-01-05, people: [ana]}", "{calendar: shifts.ics}"))
    reloader = Reloader(settings, escalation_of(settings))
    (tmp_path / "shifts.ics").write_text(f"BEGIN:VCALENDAR\n{event.replace('UID:1', 'UID:2')}\nEND:VCALENDAR\n")
    assert reloader.look() is not None
    (tmp_path / "shifts.ics").unlink()
    with pytest.raises(REFUSED, match=r"shifts.ics cannot be read"):
        reloader.look()


async def test_a_worker_follows_the_files_and_counts_what_it_refused(settings, monkeypatch):
    monkeypatch.setattr(live, "RELOAD_S", 0.01)
    stop, adopted = asyncio.Event(), []
    meter = Metrics(process=False).reloads

    def counted():
        outcomes = (meter.changes.labels(outcome)._value.get() for outcome in ("refused", "loaded"))
        return (*outcomes, meter.standing._value.get())

    async def adopt(found):
        adopted.append(found.rules.version)

    async def until(done):
        async with asyncio.timeout(10):
            while not done():  # noqa: ASYNC110 -- what is waited for is counted in the code under test
                await asyncio.sleep(0.01)

    following = asyncio.create_task(follow(Reloader(settings, escalation_of(settings)), stop, adopt, meter))
    settings.rules.write_text("rules: [")
    await until(lambda: counted() == (1, 0, 1))
    settings.rules.write_text(RULES.replace("5m", "7m"))
    await until(lambda: counted() == (1, 1, 0))
    stop.set()
    await following
    assert adopted == [escalation_of(settings).rules.version]
