# A node leaves while a change takes children down: what is on it stops in the order of the change. The FSM stopped all at once.
register n1
register n2
start a one_for_one max=3/5s w1 w2 w3 | a/w1@n1 a/w2@n1 a/w3@n1
running a/w1
running a/w2
running a/w3
apply a one_for_one max=3/5s w3
leave n1
ended a/w2 shutdown
ended a/w1 shutdown
ended a/w3 shutdown | a/w3@n2
running a/w3
