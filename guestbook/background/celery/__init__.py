"""RabbitMQ through Celery, for who outgrows passes. The database stays the truth, and messages only hints.

A message says: this row, under this token. Who gets it takes the row over in the database or finds that
somebody else has, so that a message that is lost, late or delivered twice does no harm.
"""
