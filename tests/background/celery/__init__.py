"""RabbitMQ through Celery, with a real broker and real processes that die at any moment."""
