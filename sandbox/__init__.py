"""The world and the evidence: sealed boxes, the recording gateway, and what really left."""
