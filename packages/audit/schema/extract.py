"""Writes the OCSF 1.8.0 JSON Schemas of the classes that Rekey uses, each complete in itself.

    python3 -m venv v && v/bin/pip install ocsf-json-schema==1.2.0 && v/bin/python extract.py

A record that names its profile `host` may have `actor` in classes that lack it; 3004 has it without a profile.
"""

import json
from pathlib import Path

import ocsf_json_schema
from ocsf_json_schema.embedded import OcsfJsonSchemaEmbedded

CLASSES = {
    "entity_management": [],
    "compliance_finding": ["host"],
    "detection_finding": ["host"],
    "incident_finding": ["host", "incident"],
    "application_lifecycle": ["host"],
    "base_event": ["host"],
}

package = Path(ocsf_json_schema.__file__).parent
ocsf = json.loads((package / "ocsf" / "1.8.0.json").read_text())
for name, profiles in CLASSES.items():
    schema = OcsfJsonSchemaEmbedded(ocsf).get_class_schema(name, profiles)
    uid = ocsf["classes"][name]["uid"]
    target = Path(__file__).parent / f"{uid}-{name}.json"
    target.write_text(json.dumps(schema, indent=1, sort_keys=True) + "\n")
    print(target.name)
