"""Task queues that others use for the same work, as `deliver --peers` measures them.

Each file is one of them in its best set-up on a machine with two cores: the queue and its settings, the
task, how the queue is filled and which commands are its workers. `job` and `record` are the task's work.
"""
