"""List what LicenseHub is built from, and make a release: see `supply_chain/__main__.py`."""
