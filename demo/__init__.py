"""``make demo``: the whole product on one machine, with a simulator in the place of the service."""
