# A start fails while one of its children still waits for a node: that one is not placed any more.
register n1
start a one_for_one w1 w2 w3 | a/w2@n1 | a/w3!no_available_node
tick | a/w1@n1
ended a/w2 shutdown
