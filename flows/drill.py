"""A worker of the drill: the flow ``harden``, asked case after case by ``tasks/_drilling.py``."""

from __future__ import annotations

import warnings

from flows import _api


def main() -> None:
    """Start Prefect's API, import the flow, and serve until nobody asks any more."""
    warnings.simplefilter("ignore")
    with _api.running() as api:
        from flows.harden import harden
        from tasks import _drilling

        api.wait()
        _drilling.serve(harden)


if __name__ == "__main__":
    main()
