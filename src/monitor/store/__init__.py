"""The one store: SQLite in a file by default, PostgreSQL in production; same schema, same code.

`Store` opens it; `WatchStore` writes a batch in one transaction, `OutboxStore` is the dispatcher's side of delivery,
`IncidentStore` reads incidents and appends events, `Desk` does what people want done to
them, `MirrorStore` knows which messages elsewhere are behind, `account` adds the mentions up.
"""

from monitor.store.account import Account, read_account
from monitor.store.database import Store, StoreError, StoreUnavailableError
from monitor.store.desk import Desk, LinkUsedError, UnknownIncidentError
from monitor.store.incidents import IncidentStore
from monitor.store.mirror import Mirror, MirrorStore
from monitor.store.outbox import OutboxStore
from monitor.store.watch import LostPartitionError, PartitionState, WatchStore
from monitor.store.writer import VersionConflictError

__all__ = [
    "Account",
    "Desk",
    "IncidentStore",
    "LinkUsedError",
    "LostPartitionError",
    "Mirror",
    "MirrorStore",
    "OutboxStore",
    "PartitionState",
    "Store",
    "StoreError",
    "StoreUnavailableError",
    "UnknownIncidentError",
    "VersionConflictError",
    "WatchStore",
    "read_account",
]
