"""What a model is carried by: its files, the packages under it, and the advisories about those.

Read in this order: :mod:`~hardgate.supply_chain.disguises` and
:mod:`~hardgate.supply_chain.formats` (what a file is), :mod:`~hardgate.supply_chain.artifacts`
(whether a model's files are safe),
:mod:`~hardgate.supply_chain.locks` and :mod:`~hardgate.supply_chain.installation` (what is
installed, and whether it is what is imported), :mod:`~hardgate.supply_chain.severity`,
:mod:`~hardgate.supply_chain.advisories` and :mod:`~hardgate.supply_chain.updating` (what is known
against it), :mod:`~hardgate.supply_chain.inspecting` (all of that as measurements),
:mod:`~hardgate.supply_chain.bom` and :mod:`~hardgate.supply_chain.slsa` (what the tools of others
read of it), :mod:`~hardgate.supply_chain.doctor` (the same of the installation, for a person).

The installation is no dependency of a stage that DVC remembers, so all this is looked at anew in
every promotion.
"""

NAME = "supply-chain"
