"""Messages elsewhere that follow their incident, and the links of pages that were used.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the schema to this revision."""
    op.create_table(
        "mirror",
        sa.Column("incident", sa.String(length=32), nullable=False),
        sa.Column("recipient", sa.String(length=255), nullable=False),
        sa.Column("channel", sa.String(length=64), nullable=False),
        sa.Column("cycle", sa.Integer(), nullable=False),
        sa.Column("thread", sa.String(length=255), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("incident", "recipient", "channel", name=op.f("pk_mirror")),
    )
    op.create_table(
        "link_used",
        sa.Column("link", sa.String(length=64), nullable=False),
        sa.Column("incident", sa.String(length=32), nullable=False),
        sa.Column("used_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("link", name=op.f("pk_link_used")),
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_table("link_used")
    op.drop_table("mirror")
