"""The embedded mode: everything on one machine, without root and without a server to install first."""
