"""What a model tells about the rows it was trained on.

Read :mod:`.audited` (whose rows are told apart), :mod:`.membership` (was this row trained on?),
:mod:`.ranking` (how well an attack answers that), then what follows from it: :mod:`.attributes`
(a cell that the attacker lacks) and :mod:`.inversion` (images made from the model).
:mod:`.privacy` puts them together.
"""

from hardgate.risks.privacy.inversion import Inversion
from hardgate.risks.privacy.privacy import Privacy

__all__ = ["Inversion", "Privacy"]
