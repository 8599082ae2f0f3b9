# A node leaves while a group goes down: what is on it and not told yet stops in the group's order.
register n3
start a one_for_all max=3/5s w1 w2 w3 | a/w1@n3
running a/w1 | a/w2@n3
running a/w2 | a/w3@n3
initfailed a/w3
ended a/w1 error
start b one_for_all max=3/5s w1 w2 w3 | b/w1@n3
running b/w1 | b/w2@n3
running b/w2 | b/w3@n3
running b/w3
ended b/w3 error
leave n3
