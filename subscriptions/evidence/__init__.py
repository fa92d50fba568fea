"""Evidence that an auditor can check alone: packs of evidence, and rows compared with their events."""
