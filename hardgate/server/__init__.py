"""``hardgate up``: the registry, Prefect, a worker and the watcher on this machine, in one command.

Read :mod:`settings` first (what is remembered between starts), then :mod:`stores` (the database
and the bucket that a team brings along), :mod:`services` (what is started, and with which
environment), and :mod:`supervisor` (how it is started, watched and stopped). Everything is a
process of its own that is spoken to over HTTP.
"""
