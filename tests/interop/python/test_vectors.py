"""Checks the codec of this folder with the published vectors: the same bytes in both directions.

No other test would find a fault that this codec shares with the service.
"""

import json
from pathlib import Path

import pytest

from redirect_codec import Scheme, Sealed, from_base64, mask, open_sealed, seal, unmask

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "vectors.json").read_text(encoding="utf-8"))
SCHEMES = {"hkdf-random-iv": Scheme.HKDF_IV, "pbkdf2-zero-iv": Scheme.PBKDF2}

SEALED = [v for v in VECTORS if v["secret"] is not None]


def by_name(vector):
    return f"{vector['profile']}-{vector['name']}"


def test_the_vectors_cover_both_schemes_and_real_masks():
    assert {v["profile"] for v in SEALED} == set(SCHEMES)
    assert len(SEALED) < len(VECTORS)


@pytest.mark.parametrize("vector", VECTORS, ids=by_name)
def test_mask_gives_the_fi_of_the_vector_and_back(vector):
    assert mask(vector["fi_plain"], vector["date"]) == vector["fi_encoded"]
    assert unmask(vector["fi_encoded"], vector["date"]) == vector["fi_plain"]


@pytest.mark.parametrize("vector", SEALED, ids=by_name)
def test_seal_gives_the_ciphertext_of_the_vector(vector):
    iv = from_base64(vector["iv_b64"]) if vector["iv_b64"] else None
    sealed = seal(SCHEMES[vector["profile"]], vector["secret"], vector["date"], vector["plaintext"].encode(), iv)
    assert sealed == Sealed(vector["ciphertext_b64url_padded"], vector["iv_b64"])


@pytest.mark.parametrize("vector", SEALED, ids=by_name)
def test_open_gives_the_plaintext_of_the_vector(vector):
    sealed = Sealed(vector["ciphertext_b64url_padded"], vector["iv_b64"])
    plaintext = open_sealed(SCHEMES[vector["profile"]], vector["secret"], vector["date"], sealed)
    assert plaintext.decode() == vector["plaintext"]
