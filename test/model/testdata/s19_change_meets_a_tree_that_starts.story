# A change starts a tree in which a child, having run, has no node any more. Whoever asked for it still waits for the tree, so the
# next change waits for its end: the FSM went on with the next one, never answered the first, and its
# snapshots were refused.
register n1
start a one_for_all max=3/5s w1 | a/w1@n1
running a/w1
apply a one_for_all max=3/5s w1 w2{one_for_one,max=3/5s,w3,w4} | a/w2/w3@n1 a/w2/w4@n1
running a/w2/w3
ended a/w2/w3 error | | a/w2/w3!no_available_node
apply a one_for_all max=3/5s w1 w2{one_for_one,max=3/5s,w4}
tick
running a/w2/w4
tick | a/w2/w4@n1
running a/w2/w4
