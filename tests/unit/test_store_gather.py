"""Small transactions done together: all results, one commit, and nobody fails for another."""

import asyncio

import pytest
from sqlalchemy import event, insert, select

from monitor.store.gather import Gather
from monitor.store.tables import account


def adds(partition, *, fails=False):
    def work(connection):
        connection.execute(insert(account).values(partition=partition, outcome="stored", mentions=1))
        if fails:
            raise LookupError(str(partition))
        return partition

    return work


def each(connection, asked):
    return [work(connection) for work in asked]


def stored(store):
    with store.engine.connect() as connection:
        return sorted(connection.scalars(select(account.c.partition)))


async def test_what_comes_at_once_is_committed_at_once(store):
    commits = []
    event.listen(store.engine, "commit", lambda _: commits.append(1))
    gather = Gather(store, each, patience_s=5.0)
    assert await asyncio.gather(*(gather.run(adds(n)) for n in range(100))) == list(range(100))
    assert stored(store) == list(range(100))
    assert len(commits) <= 5
    assert await gather.run(adds(100)) == 100


async def test_one_that_fails_fails_alone(store):
    gather = Gather(store, each, patience_s=5.0)
    done = await asyncio.gather(*(gather.run(adds(n, fails=n == 3)) for n in range(6)), return_exceptions=True)
    assert [one for one in done if not isinstance(one, Exception)] == [0, 1, 2, 4, 5]
    assert isinstance(done[3], LookupError)
    assert stored(store) == [0, 1, 2, 4, 5]


async def test_who_does_not_wait_any_more_is_no_hindrance(store):
    gather = Gather(store, each, patience_s=5.0)
    tasks = [asyncio.create_task(gather.run(adds(n))) for n in range(4)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert [one for one in done if not isinstance(one, BaseException)] == [0, 2, 3]
    with pytest.raises(asyncio.CancelledError):
        await tasks[1]
    assert await gather.run(adds(9)) == 9
