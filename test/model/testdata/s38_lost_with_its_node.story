# The loss of a node ends a significant child for good; behind it a child is being added there, before it one would be moved.
# The FSM's record of the first was stale by then: it panicked; the restart of the last was counted.
register n2
register n3
start a rest_for_one max=3/1s auto=all w2:permanent w1:temporary* | a/w2@n2
running a/w2 | a/w1@n2
running a/w1
add a w3:permanent | a/w3@n2
down n2
