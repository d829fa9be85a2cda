"""Whether a delivery waits behind an earlier one: SQL for all databases, also for passes without an ORM.

It is a scalar subquery, because databases turn NOT EXISTS into a join that may read the whole table. The
first two conditions spare most rows the look. If they stood before an OR, PostgreSQL without statistics would
think that hardly a row passes, and read all rows of a webhook to find the first. As text it costs SQLAlchemy
no time in each claim. Only MariaDB reads the hint; without it, it may read the whole table.
"""

IS_NEXT_SQL = """(
    CASE WHEN deliveries.sequence IS NULL OR deliveries.sequence = 1 THEN TRUE ELSE (
        SELECT earlier.id FROM deliveries AS earlier /*! FORCE INDEX (deliveries_by_comment) */
        WHERE earlier.comment_id = deliveries.comment_id AND earlier.webhook_id = deliveries.webhook_id
        AND earlier.sequence < deliveries.sequence AND earlier.due_at IS NOT NULL LIMIT 1
    ) IS NULL END)"""
