#!/usr/bin/env python3
"""An outside worker in Python, standard library only: python3 worker.py [URL] [QUEUE]; an API key in ORDAIN_KEY, if the server has keys.

The server leaves the activity to it by the setting ORDAIN_ACTIVITIES__PREPARE_PACKAGE__OUTSIDE=true."""
import json, os, sys, threading, time, urllib.error, urllib.request

URL, QUEUE = (sys.argv[1:] + ["http://127.0.0.1:8000", "shipping"][len(sys.argv) - 1:])[:2]
KEY = os.environ.get("ORDAIN_KEY")

def prepare_package(input, key):
    """An activity: what is done under a key that was seen before must not be done again."""
    return {"package_ref": "py:" + key}

ACTIVITIES = {"prepare_package": prepare_package}

def post(path, body):
    headers = {"Content-Type": "application/json", "Authorization": "Bearer " + KEY} if KEY else {"Content-Type": "application/json"}
    request = urllib.request.Request(URL + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=40) as reply:
        return json.loads(reply.read() or "null")

def patiently(path, body):
    """Asks until there is an answer. A 4xx is one: 409 says that the attempt is no longer ours."""
    while True:
        try:
            return post(path, body)
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code != 429:
                return print(path.split("/")[-1], "was refused:", error.code, error.read().decode())
        except OSError as error:
            print("the server is away:", error)
        time.sleep(1)

def heartbeats(token, done):
    while not done.wait(3):
        patiently(f"/api/activities/{token}/heartbeat", {})

while True:
    poll = {"worker_id": f"python-{os.getpid()}", "wait_seconds": 20, "activities": list(ACTIVITIES)}
    job = patiently(f"/api/queues/{QUEUE}/poll", poll)
    if not job:
        continue
    done = threading.Event()
    threading.Thread(target=heartbeats, args=(job["token"], done), daemon=True).start()
    try:
        end, body = "complete", {"result": ACTIVITIES[job["activity"]](job["input"], job["idempotency_key"])}
    except Exception as error:
        end, body = "fail", {"message": repr(error), "kind": "error"}
    done.set()
    print(job["workflow_id"], job["activity"], "attempt", job["attempt"], end, flush=True)
    patiently(f"/api/activities/{job['token']}/{end}", body)
