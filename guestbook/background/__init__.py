"""What cron starts: a pass, what it deletes, and the same through RabbitMQ and Celery."""
