"""Everything people may try to get something for nothing, against the whole product on loopback. `python -m attack`."""
