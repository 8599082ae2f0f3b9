# A node is lost while a restart by hand waits for the end of a child's run there: the loss completes the stop, nothing is
# counted, nothing is excluded.
register n1
start a one_for_one max=0/5s w1:permanent | a/w1@n1
running a/w1
restart a/w1
ended a/w1 node_down | a/w1@n1
running a/w1
