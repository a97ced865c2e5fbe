"""Timers of incidents, and what shadow rules would have done.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the schema to this revision."""
    op.add_column("incident", sa.Column("due_at", sa.Double()))
    op.create_index("ix_incident_due", "incident", ["due_at"], unique=False)
    op.create_table(
        "shadow_decision",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("umbrella", sa.String(length=255), nullable=False),
        sa.Column("brand", sa.String(length=255), nullable=False),
        sa.Column("story", sa.String(length=32), nullable=False),
        sa.Column("rule", sa.String(length=100), nullable=False),
        sa.Column("action", sa.String(length=8), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("rules", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_shadow_decision")),
    )
    op.create_index("ix_shadow_decision_at", "shadow_decision", ["at"], unique=False)
    op.create_index("ix_shadow_decision_story", "shadow_decision", ["umbrella", "story"], unique=False)


def downgrade() -> None:
    """Take the schema back to the one before."""
    op.drop_table("shadow_decision")
    op.drop_index("ix_incident_due", table_name="incident")
    op.drop_column("incident", "due_at")
