"""Release: what a person approved is looked at once more before anybody relies on it."""

from __future__ import annotations

from prefect import flow

from hardgate import params as settings
from hardgate.errors import IntegrityError
from tasks import _dashboard, release


@flow(name="release", flow_run_name="release")
def watch() -> tuple[release.Release, ...]:
    """Look at every champion that was not looked at since its approval.

    Raises
    ------
    IntegrityError
        If one had to be withdrawn: the run fails, so that somebody sees it.
    """
    release.sign_in()
    found = []
    for model in settings.models():
        for version in release.find(model):
            looked = release.look(version)
            release.act(version, looked)
            found.append(looked)
    _dashboard.releases(found)
    withdrawn = [each for each in found if not each.released]
    if withdrawn:
        raise IntegrityError(
            "; ".join(f"{e.model}/{e.version} was withdrawn: {e.words}" for e in withdrawn)
        )
    return tuple(found)
