"""The protocols the keeper knows. A new one is a package beside these and a line here."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from keeper.protocols.adapter import Adapter
from keeper.protocols.curie import Curie
from keeper.protocols.lyra import Lyra

ADAPTERS: Final[Mapping[str, type[Adapter]]] = MappingProxyType({Curie.name: Curie, Lyra.name: Lyra})
"""By the name that `protocol` has in a venue's configuration."""
