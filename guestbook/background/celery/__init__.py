"""RabbitMQ through Celery, if passes are not enough. The database stays the truth; messages are only hints.

A message says: this row, under this token. A worker takes the row over in the database, or finds
that another one has. So a message that is lost, late or delivered twice does no harm.
"""
