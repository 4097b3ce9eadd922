"""The live streams: ``client`` as a whole, ``slot`` and ``link`` for one connection, ``transport`` for its bytes."""
