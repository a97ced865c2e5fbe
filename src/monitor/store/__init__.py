"""The one store: SQLite in a file by default, PostgreSQL in production; same schema, same code.

`Store` opens it; `WatchStore` writes a batch in one transaction, `OutboxStore` is the dispatcher's side of delivery,
`IncidentStore` reads incidents and appends people's changes, `account` adds the mentions up.
"""

from monitor.store.account import Account, read_account
from monitor.store.database import Store, StoreError, StoreUnavailableError
from monitor.store.incidents import IncidentStore
from monitor.store.outbox import OutboxStore
from monitor.store.watch import LostPartitionError, PartitionState, WatchStore

__all__ = [
    "Account",
    "IncidentStore",
    "LostPartitionError",
    "OutboxStore",
    "PartitionState",
    "Store",
    "StoreError",
    "StoreUnavailableError",
    "WatchStore",
    "read_account",
]
