"""In what order: ``harden`` is the table of contents, and one file per stage stands beside it."""
