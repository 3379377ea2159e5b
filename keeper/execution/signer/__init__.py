"""Keys, behind one interface. The only package of the product that sees one.

| kind | where the key lies | what this process holds |
| --- | --- | --- |
| keystore | an encrypted file, its password in another or in a systemd credential | the key |
| remote | a signer that speaks JSON-RPC (web3signer, clef) | nothing |
| kms | AWS KMS, curve secp256k1 | nothing |

Decisions:

* What a signer elsewhere gives back is not believed: it is decoded, compared with what was asked, and its
  sender recovered, before it is stored. One that signs something else halts the keeper.
* A signer that does not answer is like a node that does not: the intent is dropped before it has a nonce, or
  its next version waits for the next cycle.
* A Safe's owners sign a hash, not a transaction. A key that is here, or in KMS, signs that too; a signer in
  another process is not asked: what such programs take for typed data, and how they hash it, differs.
* Nothing that opens a key is in a message, a record or an argument; signers are neither copied nor pickled.
"""

from keeper.execution.signer.interface import HashSigner, Signed, Signer
from keeper.execution.signer.keystore import KeystoreSigner, key_library

__all__ = ["HashSigner", "KeystoreSigner", "Signed", "Signer", "key_library"]
