"""`monitor serve` as a worker: the API, health beside it, files that change, and a stop."""

import asyncio

import pytest
from aiohttp import ClientSession

from monitor.config import load
from monitor.console.worker import ServeError, serve
from monitor.telemetry import Worker
from tests.support.stores import url_for

pytestmark = pytest.mark.store

TOKEN = "a token of the tests"  # noqa: S105 -- a test's own


def settings(folder, port=0):
    path = folder / "monitor.yaml"
    path.write_text(
        f"store: {{url: '{url_for(folder / 'm.db')}'}}\n"
        "recipients:\n- {name: ana, channels: [{name: t, type: terminal}]}\n"
        f"api: {{port: {port}, tokens: [{{name: desk, token_env: T, scopes: [read]}}],"
        " public_url: 'https://monitor.example.com', link_secret_env: T}\n"
    )
    return load(path, {"T": TOKEN})


async def test_it_serves_until_it_is_stopped(tmp_path):
    worker, ports = Worker("serve"), []
    assert worker.health.readiness().ok
    task = asyncio.create_task(serve(settings(tmp_path), worker, listening=ports.append))
    while not ports:
        await asyncio.sleep(0.02)
        assert not task.done(), task.exception()
    async with ClientSession() as http:
        url = f"http://127.0.0.1:{ports[0]}"
        async with http.get(f"{url}/api/v1/incidents", headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
            assert (answer.status, await answer.json()) == (200, {"incidents": [], "next": None})
        async with http.get(f"{url}/link/x") as answer:
            assert answer.status == 404
        with pytest.raises(ServeError, match=r"set another api\.host or api\.port"):
            await serve(settings(tmp_path, ports[0]), Worker("serve"))
    assert worker.health.readiness().ok
    worker.stop.set()
    await asyncio.wait_for(task, 5)
