"""Find a person's pages of late without reading all pages.

Revision ID: 0004
Revises: 0003
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the schema to this revision."""
    op.create_index("ix_outbox_person", "outbox", ["recipient", "created_at"], unique=False)


def downgrade() -> None:
    """Take the change back."""
    op.drop_index("ix_outbox_person", table_name="outbox")
