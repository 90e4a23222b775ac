"""What `sandbox/certify.py` is made of.

`inside/` runs in the agent's box and knows nothing of this project; the rest runs in the harness:
`canary.py` serves what must not be reachable, `neighbour.py` plants traces in another sample's box,
`findings.py` judges what came back and what the gateway recorded, `signing.py` signs it.
"""
