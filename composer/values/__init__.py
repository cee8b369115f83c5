"""Numbers of a network's nodes that need its weights, images or the user: what `composer graph` can colour by."""
