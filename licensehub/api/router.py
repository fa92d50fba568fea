"""The one router of all operations: with several, an address that reads and acts would be found only once."""

from ninja import Router

router = Router()
