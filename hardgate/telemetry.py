"""Libraries that report on their users, and the switches that stop them.

Each library reads its own variable when it is imported, so they are set before: by the command, and
by whoever imports one of them elsewhere. What somebody has set himself stays as he set it, and is
found on by :func:`found_on`.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

OFF = frozenset({"0", "false", "no", "off", "disabled", "offline"})
ON = frozenset({"1", "true", "yes", "on"})
SILENCE = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}


@dataclass(frozen=True)
class Switch:
    """One library, and what turns its reports off."""

    library: str  # the name of its distribution
    turned_off_by: Mapping[str, frozenset[str]]  # any of these variables at any of these values

    def is_off(self, environment: Mapping[str, str]) -> bool:
        """Tell whether one of its variables turns it off."""
        return any(
            environment.get(name, "").lower() in values
            for name, values in self.turned_off_by.items()
        )

    @property
    def advice(self) -> str:
        """Say what to set."""
        name, values = next(iter(self.turned_off_by.items()))
        return f"set {name}={'1' if '1' in values else min(values & {'false', 'disabled', '0'})}"


SWITCHES = (
    Switch("prefect", {"PREFECT_SERVER_ANALYTICS_ENABLED": OFF}),  # of the server
    Switch("prefect-client", {"DO_NOT_TRACK": ON}),
    Switch("mlflow", {"MLFLOW_DISABLE_TELEMETRY": ON}),
    Switch("dvc", {"DVC_NO_ANALYTICS": ON}),
    Switch("great-expectations", {"GX_ANALYTICS_ENABLED": OFF}),
    Switch("huggingface-hub", {"HF_HUB_DISABLE_TELEMETRY": ON, "DO_NOT_TRACK": ON}),
    Switch("gradio", {"GRADIO_ANALYTICS_ENABLED": OFF}),
    Switch("ray", {"RAY_USAGE_STATS_ENABLED": OFF}),
    Switch("wandb", {"WANDB_MODE": OFF}),
)
PART_OF = {"prefect-client": "prefect"}  # the same distribution, another switch


def silence() -> None:
    """Turn the reports of every library that the pipeline uses off, unless somebody said other."""
    for name, value in SILENCE.items():
        os.environ.setdefault(name, value)


def found_on(
    installed: Mapping[str, str], environment: Mapping[str, str], root: Path
) -> Iterator[tuple[str, str]]:
    """List the installed libraries that report on their users, each with what stops it.

    Parameters
    ----------
    installed
        Versions by canonical name.
    root
        Of the project, whose ``.dvc/config`` may turn DVC's off.
    """
    for switch in SWITCHES:
        if PART_OF.get(switch.library, switch.library) not in installed:
            continue
        if switch.library == "dvc" and _dvc_is_off(root):
            continue
        if not switch.is_off(environment):
            yield switch.library, switch.advice


def _dvc_is_off(root: Path) -> bool:
    """Read DVC's switch in the project, which a file for this machine alone may turn again."""
    found = configparser.ConfigParser(interpolation=None)
    try:
        found.read([root / ".dvc" / "config", root / ".dvc" / "config.local"], encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return False
    return found.get("core", "analytics", fallback="true").strip().lower() in OFF
