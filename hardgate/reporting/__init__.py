"""One self-contained HTML page per run: the decision first, then everything it rests on.

Read in this order: :mod:`run` (what a page is made of); :mod:`verdicts`, :mod:`figures`,
:mod:`groups`, :mod:`reasons`, :mod:`prices`, :mod:`threats`, :mod:`sheets` and :mod:`reproduction`
(what each part shows); :mod:`frontiers` (the page of a comparison); :mod:`words` (how it is said),
:mod:`charts` and :mod:`parallel` (how it is drawn), :mod:`parts` (the shapes of both); :mod:`pages`
and ``templates/`` (how it is put together). :mod:`coverage` writes a page of the documentation
instead.

A page loads nothing from anywhere and runs no script, so that it can be mailed, archived and
opened on a machine without network; a content security policy in it says so to the browser.
"""

from hardgate.reporting.pages import draw_frontier, render, render_comparison, render_refusal
from hardgate.reporting.run import MEDIA, Picture, Refusal, Run, picture

__all__ = [
    "MEDIA",
    "Picture",
    "Refusal",
    "Run",
    "draw_frontier",
    "picture",
    "render",
    "render_comparison",
    "render_refusal",
]
