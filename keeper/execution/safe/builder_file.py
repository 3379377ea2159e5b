"""The batch file that Safe{Wallet}'s Transaction Builder loads. Pure.

The wallet builds its own SafeTx from the calls, with the next nonce of its queue; its hash is ours where
nonce and MultiSend contract are the same. A file whose checksum is wrong is loaded with a warning.

Source: safe-global/safe-react-apps, `apps/tx-builder/src/lib/checksum.ts` and `typings/models.ts`.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

from eth_utils.crypto import keccak

from keeper.execution.safe.multisend import Part
from keeper.model.reads import Address

FORMAT: Final = "1.0"
_BUILDER: Final = "1.18.2"
"""Version of the app whose files these are like."""


def batch_file(
    parts: Sequence[Part], *, safe: Address, chain_id: int, created_at_ms: int, name: str, description: str
) -> dict[str, Any]:
    """Return the file's object, with its checksum. Numbers that may be large are decimal text."""
    document: dict[str, Any] = {
        "version": FORMAT,
        "chainId": str(chain_id),
        "createdAt": created_at_ms,
        "meta": {
            "name": name,
            "description": description,
            "txBuilderVersion": _BUILDER,
            "createdFromSafeAddress": safe,
            "createdFromOwnerAddress": "",
        },
        "transactions": [
            {
                "to": part.to,
                "value": str(int(part.value)),
                "data": part.data,
                "contractMethod": None,
                "contractInputsValues": None,
            }
            for part in parts
        ],
    }
    document["meta"]["checksum"] = checksum(document)
    return document


def checksum(document: dict[str, Any]) -> str:
    """Return keccak-256 of a batch file without its name and checksum, 0x-prefixed.

    An object is written as the JSON list of its sorted keys, then each value in that order and a comma after
    it, all in braces; the name counts as null.
    """
    meta = {key: value for key, value in document["meta"].items() if key != "checksum"} | {"name": None}
    return "0x" + keccak(text=_serial({**document, "meta": meta})).hex()


def _serial(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(_serial(item) for item in value)}]"
    if isinstance(value, dict):
        keys = sorted(value)
        return f"{{{_json(keys)}{''.join(_serial(value[key]) + ',' for key in keys)}}}"
    return _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
