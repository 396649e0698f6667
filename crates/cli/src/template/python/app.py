"""A small app: says what it was given, without giving it away."""

import json
import os
import sys

folder_in = os.environ.get("IEXEC_IN", "/iexec_in")
folder_out = os.environ.get("IEXEC_OUT", "/iexec_out")
# Whoever runs the app never sees these values. Never print them: the output becomes part of the result.
developer_secret = os.environ.get("IEXEC_APP_DEVELOPER_SECRET")
requester_secret = os.environ.get("IEXEC_REQUESTER_SECRET_1")
# Set without a dataset too: then there is no such file.
dataset = os.path.join(folder_in, os.environ.get("IEXEC_DATASET_FILENAME", "none"))

lines = ["Hello, " + (" ".join(sys.argv[1:]) or "world") + "!"]
lines.append("developer's secret: " + ("given" if developer_secret else "not given"))
lines.append("requester's secret 1: " + ("given" if requester_secret else "not given"))
if os.path.isfile(dataset):
    lines.append(f"dataset: {os.path.getsize(dataset)} bytes")

result = os.path.join(folder_out, "result.txt")
with open(result, "w", encoding="utf-8") as file:
    file.write("\n".join(lines) + "\n")
with open(os.path.join(folder_out, "computed.json"), "w", encoding="utf-8") as file:
    json.dump({"deterministic-output-path": result}, file)
