"""A command-line agent of the standard library alone, as it runs inside the box.

Talks to the model at the port of Inspect's bridge; runs what it is told and notes it in /tmp/ran.
"""

import json
import socket
import subprocess
import time
import urllib.request

URL = "http://127.0.0.1:13131/v1/chat/completions"
PARAMETERS = {"type": "object", "properties": {"command": {"type": "string"}}}
SHELL = {"name": "shell", "description": "Run a command.", "parameters": PARAMETERS}
TOOL = {"type": "function", "function": SHELL}

for _ in range(600):
    with socket.socket() as one:
        if one.connect_ex(("127.0.0.1", 13131)) == 0:
            break
    time.sleep(0.1)
messages = [{"role": "user", "content": "work"}]
while True:
    body = json.dumps({"model": "inspect", "messages": messages, "tools": [TOOL]}).encode()
    headers = {"content-type": "application/json", "authorization": "Bearer none"}
    with urllib.request.urlopen(urllib.request.Request(URL, body, headers), timeout=120) as reply:
        message = json.load(reply)["choices"][0]["message"]
    if not message.get("tool_calls"):
        break
    messages.append({k: v for k, v in message.items() if v is not None})
    for call in message["tool_calls"]:
        command = json.loads(call["function"]["arguments"])["command"]
        with open("/tmp/ran", "a") as ran:
            ran.write(command + "\n")
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": done.stdout})
