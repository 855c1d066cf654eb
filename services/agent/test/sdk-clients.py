"""Applications with Python's SDK and the container credential provider: one client for each thread's whole life, every call counted."""

import json
import sys
import threading

import botocore.config
import botocore.session

endpoint, region, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
stopping = threading.Event()
lock = threading.Lock()
tally = {"ok": 0, "failures": []}


def run(number):
    session = botocore.session.Session()
    # A retry of the call would hide what it met.
    config = botocore.config.Config(retries={"total_max_attempts": 1})
    client = session.create_client("sts", region_name=region, endpoint_url=endpoint, config=config)
    shown = {}

    def look(request, **_):
        value = request.headers["Authorization"]
        value = value.decode() if isinstance(value, bytes) else value
        shown["key"] = value.split("Credential=")[1].split("/")[0]

    client.meta.events.register("before-send.sts.*", look)
    last = None
    while not stopping.is_set():
        try:
            client.get_caller_identity()
            with lock:
                tally["ok"] += 1
        except Exception as error:
            with lock:
                tally["failures"].append(repr(error))
        with lock:
            if shown.get("key") != last:
                last = shown.get("key")
                # The test waits for these lines.
                print(json.dumps({"client": number, "key": last}), flush=True)
        stopping.wait(0.3)


threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
for thread in threads:
    thread.start()
sys.stdin.read()
stopping.set()
for thread in threads:
    thread.join()
print(json.dumps({"tally": tally}), flush=True)
