"""A software bill of materials in CycloneDX's JSON, the same for the same content."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from .parts import Part

__all__ = ["bill_of_materials"]


def bill_of_materials(name: str, digest: str, parts: Sequence[Part]) -> str:
    """The text of the bill, for a file.

    It has no date, and its serial number follows from the digest, so that it can be compared.

    :param name: of the file.
    :param digest: its SHA-256, in hexadecimal.
    :param parts: what the file holds, the package that it was made for first.
    """
    own = parts[0]
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, digest)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": name,
                "name": name,
                "version": own.version,
                "licenses": _licenses(own.license),
                "hashes": [{"alg": "SHA-256", "content": digest}],
            }
        },
        "components": [_component(part) for part in parts],
        "dependencies": [
            {"ref": name, "dependsOn": [_reference(own)]},
            *({"ref": _reference(part), "dependsOn": _needs(part, parts)} for part in parts),
        ],
    }
    return json.dumps(bill, indent=2, ensure_ascii=False) + "\n"


def _component(part: Part) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": _reference(part),
        "name": part.name,
        "version": part.version,
        "licenses": _licenses(part.license),
        "purl": _reference(part),
    }


def _reference(part: Part) -> str:
    """The package URL (purl) of a part."""
    return f"pkg:pypi/{part.key}@{part.version}"


def _needs(part: Part, parts: Sequence[Part]) -> list[str]:
    return [_reference(other) for other in parts if other.key in part.needs]


def _licenses(text: str) -> list[dict[str, Any]]:
    try:
        return [{"expression": canonicalize_license_expression(text)}]
    except InvalidLicenseExpression:
        return [{"license": {"name": text}}]
