"""The tables. Times are seconds since the epoch; `*_at` of streams is event time, `created_at` and leases real time.

Personal data (texts, handles) stands in `story.state`, `tide.state`, `incident.facts` and `outbox.facts` only; ids and
authors elsewhere are hashes.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

BigKey = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only in an INTEGER column

partition_state = Table(
    "partition_state",
    metadata,
    Column("topic", String(255), primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("cluster", String(64), nullable=False),
    Column("topic_id", String(64), nullable=False),
    Column("partitions", Integer, nullable=False),
    Column("next_offset", BigInteger, nullable=False),
    Column("marks", LargeBinary, nullable=False),
    Column("clock", Double, nullable=False),
    Column("behind", Boolean, nullable=False),
    Column("updated_at", Double, nullable=False),
)

seen = Table(
    "seen",
    metadata,
    Column("key", LargeBinary(16), primary_key=True),
    Column("umbrella", String(255), primary_key=True),
    Column("partition", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("published_at", Double, nullable=False),
    Column("story", String(32)),
    Column("revision", BigInteger, nullable=False),
    Column("share", LargeBinary),
    Index("ix_seen_age", "partition", "published_at"),
    sqlite_with_rowid=False,
)

loose = Table(
    "loose",
    metadata,
    Column("key", LargeBinary(16), primary_key=True),
    Column("partition", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("refers", LargeBinary(16), nullable=False),
    Column("published_at", Double, nullable=False),
    Index("ix_loose_age", "partition", "published_at"),
    sqlite_with_rowid=False,
)

account = Table(
    "account",
    metadata,
    Column("partition", Integer, primary_key=True),
    Column("outcome", String(16), primary_key=True),
    Column("mentions", BigInteger, nullable=False),
)

story = Table(
    "story",
    metadata,
    Column("umbrella", String(255), primary_key=True),
    Column("story", String(32), primary_key=True),
    Column("partition", Integer, nullable=False),
    Column("brand", String(255), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("headline", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("voices", BigInteger, nullable=False),
    Column("first_at", Double, nullable=False),
    Column("last_at", Double, nullable=False),
    Column("crossed_at", Double),
    Column("closed", Boolean, nullable=False),
    Column("merged_into", String(32)),
    Column("state", LargeBinary, nullable=False),
    Index("ix_story_live", "partition", "closed"),
)

tide = Table(
    "tide",
    metadata,
    Column("umbrella", String(255), primary_key=True),
    Column("brand", String(255), primary_key=True),
    Column("partition", Integer, nullable=False),
    Column("state", LargeBinary, nullable=False),
)

incident = Table(
    "incident",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("umbrella", String(255), nullable=False),
    Column("story", String(32), nullable=False),
    Column("brand", String(255), nullable=False),
    Column("state", String(16), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("opened_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("version", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("facts", JSON, nullable=False),
    Column("due_at", Double),  # when its next timer runs out
    Index("ix_incident_story", "umbrella", "story"),
    Index("ix_incident_state", "state"),
    Index("ix_incident_due", "due_at"),
)

incident_event = Table(
    "incident_event",
    metadata,
    Column("incident", String(32), ForeignKey("incident.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("at", Double, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("body", LargeBinary, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("number", BigKey, primary_key=True, autoincrement=True),
    Column("key", String(512), nullable=False, unique=True),
    Column("incident", String(32), nullable=False),
    Column("umbrella", String(255), nullable=False),
    Column("brand", String(255), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("purpose", String(16), nullable=False),
    Column("recipient", String(255), nullable=False),
    Column("channel", String(64), nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("decided_at", Double, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("facts", JSON, nullable=False),
    Column("status", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_try_at", Double),
    Column("lease_owner", String(64)),
    Column("lease_until", Double),
    Column("may_be_repeat", Boolean, nullable=False),
    Column("settled", Boolean, nullable=False),
    Column("grouped_in", String(512), index=True),  # the page that says this one too
    Index("ix_outbox_open", "settled", "channel"),
    Index("ix_outbox_person", "recipient", "created_at"),
    Index("ix_outbox_lane", "incident", "recipient", "channel", "sequence"),
)

shadow_decision = Table(
    "shadow_decision",
    metadata,
    Column("number", BigKey, primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("umbrella", String(255), nullable=False),
    Column("brand", String(255), nullable=False),
    Column("story", String(32), nullable=False),
    Column("rule", String(100), nullable=False),
    Column("action", String(8), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("rules", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Index("ix_shadow_decision_at", "at"),
    Index("ix_shadow_decision_story", "umbrella", "story"),
)

receipt = Table(
    "receipt",
    metadata,
    Column("number", BigKey, primary_key=True, autoincrement=True),
    Column("key", String(512), nullable=False, index=True),
    Column("attempt", Integer, nullable=False),
    Column("at", Double, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("detail", Text, nullable=False),
    Column("receipt", Text),
)

mirror = Table(  # messages elsewhere that are kept up to date with their incident
    "mirror",
    metadata,
    Column("incident", String(32), primary_key=True),
    Column("recipient", String(255), primary_key=True),
    Column("channel", String(64), primary_key=True),
    Column("cycle", Integer, nullable=False),
    Column("thread", String(255), nullable=False),
    Column("version", Integer, nullable=False),
)

link_used = Table(
    "link_used",
    metadata,
    Column("link", String(64), primary_key=True),
    Column("incident", String(32), nullable=False),
    Column("used_at", Double, nullable=False),
)
