"""List what LicenseHub is built from: `python -m supply_chain sbom | licenses [--write] | vulnerabilities`."""
